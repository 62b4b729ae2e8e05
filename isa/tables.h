// The instruction tables: one row an opcode, in isa/tables/*.inc, read by the decoder, encoder, printer, executor,
// checkers and the timing model. A reader defines OP (and OP_NAMED) and includes isa/tables/all.inc:
//
//   OP(name, number, format, writes, reads, effects, class)
//
// OP       executed: a handler is bound to the name (tests/isa/alu.cpp checks that exactly these rows have one).
// OP_NAMED decodes, encodes and prints; running it is a fault that names it.
//
//   name     as llvm-mc spells it, without _e32/_e64/_dpp: an identifier, Opcode::name.
//   number   opcode field of the row's format. VOP1, VOP2 and VOPC rows stand once; their VOP3 form has the opcode
//            0x180 + number, 0x100 + number, number.
//   format   enumerator of Format.
//   writes   W(types): dst, then sdst. RW(types): the old value of dst is read too (fmac, writelane, v_swap).
//   reads    R(types): src[0], src[1], ... in order. Types are in isa/tables/types.inc. S(t): scalar register or
//            constant; SR(t): scalar register; L(t): SGPR or inline constant; V(t): VGPR only; VK(t): VGPR or inline
//            constant.
//   effects  what the operands do not show, joined by `+`: R(x), W(x), RW(x) with x of SCC, EXEC, VCC, M0, MODE,
//            and flags (enum Flag). That vector instructions obey EXEC, and float ones MODE, is not repeated.
//   class    enumerator of OpClass.
//
// Operands in an Instruction, beyond the plain case:
//   VCC      implied by the VOP2/VOPC native forms and v_dual_cndmask stands in its MASK operand (code 106):
//            v_cndmask src[2]; v_add_co_ci sdst and src[2]; v_cmp dst. v_cmpx has dst = EXEC (126).
//   K_ types src[] has code_literal, count_dw 1, and Instruction::literal the value.
//   imm.     SIMM16, LABEL, HWREG, MESSAGE are in Instruction::offset and take no src slot (they stand last).
//   SOPK     the SDST field is dst where the row writes, src[0] where it only reads (s_cmpk, s_setreg, s_waitcnt_*).
//   memory   dst is loaded data. src[0] ADDR, src[1] data, src[2] SADDR/SRSRC, src[3] SOFFSET; unused slots absent.
//            DS: src[0] ADDR, src[1] data 0, src[2] data 1. SMEM: src[0] SBASE/SRSRC, src[1] SOFFSET.
//            GLOBAL: without SADDR, ADDR is 2 registers; with it, 1. SCRATCH: ADDR present iff `sve`.
//            MUBUF/MTBUF: ADDR is idxen + offen registers, index first.
//   atomics  with flag GLC_RETURNS have dst only when glc is set; in MUBUF it is the data's register.
//   16 bits  a 16-bit operand in a VGPR may be either half. Native VOP1/VOP2/VOPC encodings choose it by bit 7 of the
//            register number, VOP3 by OPSEL; both arrive as Instruction::opsel (bit i = src i high, bit 3 = dst high).
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "isa/base.h"
#include "isa/instruction.h"

namespace amlm::isa {

enum class Opcode : u16 {
#define OP(name, ...) name,
#include "isa/tables/all.inc"
};

inline constexpr u32 opcode_count = 0
#define OP(...) +1
#include "isa/tables/all.inc"
    ;

enum class Kind : u8 {
  none, bits, unsigned_integer, signed_integer, floating, brain_floating, packed_integer, packed_floating,
  mask, matrix, literal, address, immediate,
};

enum class Type : u8 {
#define TYPE(name, bits, kind) name,
#include "isa/tables/types.inc"
#undef TYPE
};

struct TypeInfo {
  std::string_view name;
  u16 bits;
  Kind kind;
  constexpr u8 dwords() const { return u8((bits + 31) / 32); }
};
const TypeInfo& info(Type type);

// Which registers a field may name.
enum class Where : u8 {
  by_format,       // what the encoding's field can hold
  scalar,          // SGPR or constant
  lane_select,     // SGPR or inline constant
  scalar_register, // SGPR, VCC, TTMP, NULL, M0, EXEC
  vgpr,
  vgpr_or_inline,
};

struct OperandInfo {
  Type type = Type::NO;
  Where where = Where::by_format;
  constexpr OperandInfo() = default;
  constexpr OperandInfo(Type t, Where w = Where::by_format) : type(t), where(w) {}
};

// Registers that an instruction uses without naming them (bits).
enum class Special : u8 { SCC = 1, EXEC = 2, VCC = 4, M0 = 8, MODE = 16 };

enum class Flag : u16 {
  NONE = 0,
  GLC_RETURNS = 1,   // atomic: returns the old value when glc is set
  OFFSET_PAIR = 2,   // DS 2ADDR: offset and offset1 are separate, in units of the element (times 64: STRIDE64)
  D16 = 4,           // 16-bit memory data, or result, in the low half of the register; the high half is kept
  D16_HI = 8,        // the same in the high half
  CROSS_LANE = 16,   // lanes read other lanes
  LANE_NUMBER = 32,  // result depends on the lane's number (mbcnt)
  SWAPS = 64,        // writes src[0] too
  SATURATES = 128,   // integer result: CLAMP saturates it
  FLOAT_MODIFIERS = 256,  // NEG and ABS work although the sources are untyped bits (v_cndmask)
  NO_DPP = 512,      // has no DPP form, though its operands would allow one
  NO_VOP3 = 1024,    // VOP1 or VOP2 row without a VOP3 form
  GDS_ONLY = 2048,   // DS row that works on global data share: the GDS bit must be set
};

struct Effects {
  u8 reads = 0, writes = 0;   // Special bits
  u16 flags = 0;              // Flag bits
  constexpr bool has(Flag flag) const { return (flags & u16(flag)) != 0; }
  constexpr bool reads_special(Special s) const { return (reads & u8(s)) != 0; }
  constexpr bool writes_special(Special s) const { return (writes & u8(s)) != 0; }
};

// For counters and timing (isa.md 6 names the sources of each class's cycles).
enum class OpClass : u8 {
  valu, trans, valu64, f64, quarter, dot, wmma, salu, salu_float, smem, vmem_load, vmem_store, vmem_atomic,
  lds, branch, wait, barrier, message, other,
};

struct OpInfo {
  std::string_view name;
  u16 number = 0;
  Format format{};
  bool executed = false;                    // an OP row
  OpClass op_class{};
  u8 dst_count = 0;                         // of dst, sdst
  u8 src_count = 0;                         // entries of src, immediates too
  bool reads_dst = false;                   // RW
  std::array<OperandInfo, 2> dst{};
  std::array<OperandInfo, 4> src{};
  Effects effects;
};

const OpInfo& info(Opcode opcode);

// What an encoding of a row may carry. NEG, ABS, OPSEL: by source index, bit 3 of OPSEL is the destination; for VOP3P,
// `neg_hi` stands beside `neg` and OPSEL_HI is free. Everything else is a reserved bit: zero, or no such instruction.
struct Modifiers {
  u8 neg = 0, abs = 0, neg_hi = 0, opsel = 0;
  bool clamp = false, omod = false;
  bool vop3 = false;   // VOP1, VOP2, VOPC: has a VOP3 form
  bool dpp = false;    // has DPP forms
};
Modifiers modifiers(const OpInfo& op);
std::string_view name(Format format);
std::string_view name(OpClass op_class);

// The row of an opcode number, or nullopt. `format` is the row's own: VOP3 forms of VOP1/VOP2/VOPC rows are found
// with lookup_vop3.
std::optional<Opcode> lookup(Format format, u32 number);
// By the 10-bit opcode of the VOP3 encoding: any row of VOPC, VOP2, VOP1, VOP3 or VOP3SD.
std::optional<Opcode> lookup_vop3(u32 number);
std::optional<Opcode> lookup(std::string_view name);

}  // namespace amlm::isa
