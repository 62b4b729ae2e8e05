// The rules, each with its source: [G] RDNA3.5 ISA guide, [L] LLVM 19.
#include "isa/hazards.h"

#include <algorithm>

#include "isa/tables.h"

namespace amlm::isa {
namespace {

constexpr u32 code_end_word = 0xbf9f0000, code_end_padding = 64, vgpr_banks = 4, dealloc_vgprs = 3;

struct Placed {
  u32 offset = 0;
  Instruction in;
  const OpInfo& op() const { return info(in.opcode); }
};

bool is_valu(const OpInfo& op) {
  switch (op.format) {
    case Format::vop1: case Format::vop2: case Format::vopc: case Format::vop3: case Format::vop3sd: case Format::vop3p:
    case Format::vopd: return true;
    default: return false;
  }
}

bool overlap(const Operand& a, const Operand& b) {
  return a.is_vgpr() && b.is_vgpr() && a.present() && b.present() && a.code < b.code + b.count_dw &&
         b.code < a.code + a.count_dw;
}

void count_scalars(std::vector<Operand>& found, std::span<const Operand> sources) {
  for (const Operand& source : sources) {
    const u32 code = source.code;
    const bool on_bus = (code < 128 && code != code_null) || (code >= 235 && code <= 238) || code == code_scc ||
                        code == code_literal;
    if (source.present() && on_bus && std::ranges::find(found, source) == found.end()) found.push_back(source);
  }
}

// A clause is of one type ([G] 5.2; the types are those of [L] SIInsertHardClauses). 0: not allowed in a clause.
u32 clause_type(const OpInfo& op) {
  const u32 flat = op.format == Format::flat ? 10 : 0;
  switch (op.op_class) {
    case OpClass::smem: return 1;
    case OpClass::lds: return 2;
    case OpClass::vmem_load: return flat + 3;
    case OpClass::vmem_store: return flat + 4;
    case OpClass::vmem_atomic: return flat + 5;
    default: return is_valu(op) ? 6 : 0;
  }
}

struct Checker {
  std::span<const u32> code;
  std::vector<Placed> list;
  std::vector<Hazard> found;
  u32 code_words = 0;                      // without the padding

  void report(u32 offset, std::string sentence) { found.push_back({offset, std::move(sentence)}); }
  void report(const Placed& at, const char* what) { report(at.offset, std::string(at.op().name) + ": " + what); }

  void decode_all();
  void vopd(const Placed& at);
  void one(const Placed& at);
  void pair(const Placed& previous, const Placed& next);
  void clause(std::size_t index);
  void message(std::size_t index);
  void branch(const Placed& at);
  void end();
  void run();
};

void Checker::decode_all() {
  code_words = u32(code.size());
  while (code_words > 0 && code[code_words - 1] == code_end_word) --code_words;
  for (u32 at = 0; at < code_words;) {
    DecodeError error;
    const auto in = decode(code.subspan(at, code_words - at), &error);
    if (!in) {
      report(4 * at, error.sentence);
      ++at;
      continue;
    }
    list.push_back({4 * at, *in});
    at += in->size_dw;
  }
}

// [G] 7.6: X and Y read through the same ports: their SRC0 must lie in different banks, their SRC1 too; of what they
// read through the third port (FMAC and DOT2ACC: the destination) one must be even and one odd.
void Checker::vopd(const Placed& at) {
  const OpInfo& x = at.op();
  const OpInfo& y = info(at.in.y_opcode);
  const auto same = [](const Operand& a, const Operand& b, u32 banks) {
    return a.is_vgpr() && b.is_vgpr() && a.present() && b.present() && a.vgpr() % banks == b.vgpr() % banks;
  };
  const auto third = [](const OpInfo& half, const Operand& dst, const Operand& src2) {
    return half.reads_dst ? dst : src2;
  };
  if (same(at.in.src[0], at.in.y_src[0], vgpr_banks)) report(at, "SRC0 of both halves are in one VGPR bank");
  if (same(at.in.src[1], at.in.y_src[1], vgpr_banks)) report(at, "SRC1 of both halves are in one VGPR bank");
  if (same(third(x, at.in.dst, at.in.src[2]), third(y, at.in.y_dst, at.in.y_src[2]), 2))
    report(at, "SRC2 of both halves are both even or both odd");
}

void Checker::one(const Placed& at) {
  const OpInfo& op = at.op();
  if (is_valu(op) && constant_bus_reads(at.in) > constant_bus_limit(at.in))
    report(at, "reads more scalar operands than the constant bus has");
  if (op.format == Format::vopd) vopd(at);
  // [L] hasDOTOpSelHazard: OPSEL is not usable on dot products of gfx11.
  const u32 all = (1u << op.src_count) - 1;
  if (op.format == Format::vop3p && op.op_class == OpClass::dot && (at.in.opsel != 0 || (at.in.opsel_hi & all) != all))
    report(at, "OPSEL of a dot product must keep its default");
  // Mesa, README-ISA: does not work on RDNA3, though the guide says so.
  if (at.in.opcode == Opcode::v_pk_fmac_f16 && at.in.encoding != Encoding::native) report(at, "does not work with DPP");
  if (info(op.src[0].type).kind == Kind::immediate && op.src[0].type == Type::LABEL) branch(at);
}

// `next` is the first vector ALU instruction after `previous`.
void Checker::pair(const Placed& previous, const Placed& next) {
  const OpInfo& first = previous.op();
  const OpInfo& second = next.op();
  // [G] 7.9.1
  if (first.op_class == OpClass::wmma && second.op_class == OpClass::wmma &&
      (overlap(previous.in.dst, next.in.src[0]) || overlap(previous.in.dst, next.in.src[1])))
    report(next, "A or B overlaps the result of the WMMA just before: another VALU instruction must stand between");
  // [G] 7.2.8
  const bool compare_exec = first.format == Format::vopc && first.effects.writes_special(Special::EXEC);
  if (compare_exec && second.name.starts_with("v_permlane"))
    report(next, "follows a v_cmpx: another VALU instruction must stand between");
}

void Checker::clause(std::size_t index) {
  const Placed& at = list[index];
  const u32 length = (u32(at.in.offset) & 63) + 1;
  if (length < 2 || length > 63) return report(at, "a clause has 2 to 63 instructions");
  if (list.size() - index - 1 < length) return report(at, "the clause is longer than the code");
  const u32 type = clause_type(list[index + 1].op());
  for (std::size_t i = index + 1; i <= index + length; ++i) {
    const u32 other = clause_type(list[i].op());
    if (other == 0 || other != type) return report(list[i], "does not belong into the clause it stands in");
  }
}

// [L] [G] 5.3: after DEALLOC_VGPRS nothing but the end; Mesa and LLVM put an s_nop before it.
void Checker::message(std::size_t index) {
  const Placed& at = list[index];
  if (at.in.offset != i32(dealloc_vgprs)) return;
  if (index == 0 || list[index - 1].in.opcode != Opcode::s_nop)
    report(at, "DEALLOC_VGPRS needs an s_nop right before it");
  if (index + 1 >= list.size() || list[index + 1].in.opcode != Opcode::s_endpgm)
    report(at, "only s_endpgm may follow DEALLOC_VGPRS");
}

void Checker::branch(const Placed& at) {
  const i64 target = i64(at.offset) + 4 + i64(at.in.offset) * 4;
  const auto hit = [target](const Placed& placed) { return i64(placed.offset) == target; };
  if (std::ranges::none_of(list, hit)) report(at, "its target is no instruction of this code");
}

// [G] 2.4: instruction prefetch runs past the end of the program.
void Checker::end() {
  if (list.empty()) return;
  const OpInfo& last = list.back().op();
  const bool ends = list.back().in.opcode == Opcode::s_endpgm || list.back().in.opcode == Opcode::s_branch ||
                    list.back().in.opcode == Opcode::s_setpc_b64;
  if (!ends) report(list.back().offset, std::string(last.name) + ": the code runs on past its last instruction");
  if (code.size() - code_words < code_end_padding)
    report(4 * code_words, "the code is not followed by 64 s_code_end");
}

void Checker::run() {
  decode_all();
  const Placed* previous_valu = nullptr;
  for (std::size_t i = 0; i < list.size(); ++i) {
    one(list[i]);
    if (is_valu(list[i].op())) {
      if (previous_valu) pair(*previous_valu, list[i]);
      previous_valu = &list[i];
    }
    if (list[i].in.opcode == Opcode::s_clause) clause(i);
    if (list[i].in.opcode == Opcode::s_sendmsg) message(i);
  }
  end();
  std::ranges::stable_sort(found, {}, &Hazard::offset_bytes);
}

}  // namespace

u32 constant_bus_reads(const Instruction& in) {
  std::vector<Operand> codes;
  const OpInfo& op = info(in.opcode);
  count_scalars(codes, in.src);
  count_scalars(codes, in.y_src);
  constexpr Operand vcc{code_vcc_lo, 1};
  if (op.effects.reads_special(Special::VCC)) count_scalars(codes, {&vcc, 1});
  return u32(codes.size());
}

// [L] getConstantBusLimit
u32 constant_bus_limit(const Instruction& in) {
  switch (in.opcode) {
    case Opcode::v_lshlrev_b64: case Opcode::v_lshrrev_b64: case Opcode::v_ashrrev_i64: return 1;
    default: return 2;
  }
}

std::vector<Hazard> find_hazards(std::span<const u32> code) {
  Checker checker{.code = code};
  checker.run();
  return std::move(checker.found);
}

}  // namespace amlm::isa
