// The state of one decode() call. Internal to isa/decode*.cpp.
//
// Fields are taken from the words once, by name; what nobody took must be zero. So a bit that an instruction does not
// define is an error, never ignored.
#pragma once

#include <cstdarg>

#include "isa/tables.h"

namespace amlm::isa {

struct Decoder {
  std::span<const u32> words;
  Instruction in;
  std::array<u32, 3> used{};     // bits taken
  std::string sentence;          // first fault
  const OpInfo* op = nullptr;

  explicit Decoder(std::span<const u32> code) : words(code) {}

  bool fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  u32 take(u32 dword, u32 shift, u32 width);
  bool need(u32 dwords);                          // that many words are there: sets in.size_dw
  bool row(Format format, u32 number);            // finds op by the format's number
  void adopt(Opcode opcode);

  // Sources: 9-bit codes (8-bit scalar sources are the same codes below 256). `slot` is the index of the source.
  bool source(Operand& operand, u32 code, OperandInfo expected, u32 slot);
  bool scalar_source(Operand& operand, u32 code, Type type);
  bool scalar_register(Operand& operand, u32 code, u32 count_dw);   // SGPR, VCC, TTMP, NULL, M0, EXEC only
  bool vgpr(Operand& operand, u32 number, u32 count_dw);
  void spare_field(u32 dword, u32 shift);         // 8-bit VGPR field of an operand that is not there
  bool half_vgpr(Operand& operand, u32 field, Type type, u32 opsel_bit);   // 8-bit field of a native encoding
  bool take_literal();                            // the dword after the instruction so far
  void implied(Operand& operand, u16 code) { operand = {code, 1}; }

  bool sop1();
  bool sop2();
  bool sopc();
  bool sopk();
  bool sopp();
  bool smem();
  bool vop1();
  bool vop2();
  bool vopc();
  bool vop3();
  bool vop3p();
  bool vopd();
  bool ds();
  bool flat();
  bool buffer(Format format);
  bool named_only(Format format, u32 number);

  bool native_source0(u32 code);
  bool dpp(u32 code, bool native);
  bool dpp16(u32 control, bool native);
  bool vop3_sources(bool packed);
  void copies_in_dpp16();
  bool vop3_destination(u32 field);
  bool vopd_half(Opcode& opcode, Operand& dst, std::span<Operand, 3> src, u32 number, u32 src0, u32 vsrc1, u32 vdst);
  bool dispatch();
  bool finish(DecodeError* error);
};

inline bool is_half_type(Type type) { return info(type).bits == 16 && info(type).kind != Kind::literal; }
inline bool is_immediate(Type type) { return info(type).kind == Kind::immediate; }
inline bool is_literal(Type type) { return info(type).kind == Kind::literal; }
inline u32 dwords_of(Type type) { return info(type).dwords(); }

}  // namespace amlm::isa
