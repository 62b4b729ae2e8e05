// One decoded instruction: what the decoder makes, and the encoder, printer and executor read.
//
// Operand codes are the hardware's own 9-bit source codes (RDNA3.5 ISA guide, chapter 15), so that nothing
// has to be translated: 0-105 SGPR, 106/107 VCC, 108-123 TTMP, 124 NULL, 125 M0, 126/127 EXEC,
// 128-208 and 240-248 inline constants, 253 SCC, 255 literal, 256-511 VGPR.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "isa/base.h"

namespace amlm::isa {

// The encoding family an opcode belongs to. VOP1, VOP2 and VOPC opcodes may also be written in VOP3 form:
// their row stands once, under the family that names them, and Instruction::encoding says which was used.
enum class Format : u8 {
  sop1, sop2, sopk, sopc, sopp, smem,
  vop1, vop2, vopc, vop3, vop3sd, vop3p, vopd, vinterp,
  ds, lds_direct, flat, global, scratch, mubuf, mtbuf, mimg, exp,
};

// native: the row's own format, VOP3 and VOP3P rows too. vop3: a VOP1, VOP2 or VOPC row in VOP3 form. The DPP ones add
// a DPP dword: dpp8 and dpp16 to the row's own format, vop3_dpp8 and vop3_dpp16 to the VOP3 form.
enum class Encoding : u8 { native, vop3, dpp8, dpp16, vop3_dpp8, vop3_dpp16 };

// Every opcode of the tables, in table order: Opcode::v_add_f32.
// (isa/tables.h defines it from the rows.)
enum class Opcode : u16;

struct Operand {
  u16 code = 124;       // hardware source code; VGPR n is 256 + n
  u8 count_dw = 0;      // registers it covers; 0 = operand absent
  bool is_vgpr() const { return code >= 256; }
  u32 vgpr() const { return code - 256u; }
  bool present() const { return count_dw != 0; }
  bool operator==(const Operand&) const = default;
};

inline constexpr u16 code_vcc_lo = 106, code_vcc_hi = 107, code_null = 124, code_m0 = 125,
                     code_exec_lo = 126, code_exec_hi = 127, code_zero = 128, code_scc = 253,
                     code_literal = 255, code_vgpr0 = 256;

// Modifier bits are by source index (bit 0 = src0) unless said otherwise.
struct Instruction {
  Opcode opcode{};
  Format format = Format::sopp;
  Encoding encoding = Encoding::native;
  u8 size_dw = 0;                     // 1, 2 or 3 dwords of code
  Operand dst;                        // VDST, SDST; stores have none
  Operand sdst;                       // second scalar result (VOP3SD carry, VOP3 compare uses dst)
  std::array<Operand, 4> src;         // in the row's order; memory: see isa/tables.h
  i32 offset = 0;                     // SIMM16 (sign as the row says), memory immediate, branch distance in dwords
  u32 literal = 0;                    // value of code 255, when has_literal
  bool has_literal = false;
  u8 neg = 0, abs = 0;                // VOP3, DPP16; for VOP3P `neg` is NEG_LO
  u8 neg_hi = 0;                      // VOP3P
  u8 opsel = 0;                       // VOP3: bits 0-2 sources, bit 3 destination; VOP3P: low result
  u8 opsel_hi = 0;                    // VOP3P: high result
  u8 omod = 0;
  bool clamp = false;
  // DPP
  u16 dpp_ctrl = 0;                   // DPP16: 9 bits
  u32 dpp8_select = 0;                // DPP8: 24 bits
  u8 row_mask = 0xf, bank_mask = 0xf;
  bool fetch_inactive = false, bound_ctrl = false;
  // Memory
  u8 offset1 = 0;                     // DS 2ADDR second offset (offset holds the first)
  bool glc = false, slc = false, dlc = false, gds = false;
  bool offen = false, idxen = false, tfe = false, sve = false;
  u8 buffer_format = 0;               // MTBUF
  // VOPD: this instruction is X; Y has its own opcode and operands.
  Opcode y_opcode{};
  Operand y_dst;
  std::array<Operand, 3> y_src;
  bool operator==(const Instruction&) const = default;
};

struct DecodeError {
  std::string sentence;               // "0xbf9fffff: no SOPP instruction has opcode 31"
  std::array<u32, 3> reserved{};      // bits that must be zero and are not, when that was the only fault
};

// Reads one instruction from the front of `words` (1 to 3 dwords are looked at).
// nullopt and *error filled when no gfx1151 instruction starts with them.
std::optional<Instruction> decode(std::span<const u32> words, DecodeError* error = nullptr);

// Writes the instruction's dwords; returns how many (1-3), or 0 when it cannot be encoded.
u32 encode(const Instruction& instruction, std::span<u32, 3> words);

// The instruction in llvm-mc's syntax. With `pc`, its own address, branches also say their target. Lane masks are one SGPR
// in wave32 and two in wave64; the instruction itself does not say.
std::string print(const Instruction& instruction, u64 pc = 0, u32 wave_lanes = 32);

}  // namespace amlm::isa
