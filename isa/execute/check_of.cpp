// From a decoded instruction and its row to what the strict checker needs to know.
#include <fmt/format.h>

#include "isa/execute/checker.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

bool is_register(u16 code) { return code >= code_vgpr0 || (code < 128 && code != code_null); }

bool is_store(const OpInfo& op) { return op.op_class == OpClass::vmem_store; }

Issues issues_of(const Instruction& in, const OpInfo& op) {
  switch (in.format) {
    case Format::smem: return in.dst.present() ? Issues::scalar_load : Issues::nothing;
    case Format::ds: return op.op_class == OpClass::lds ? Issues::lds : Issues::nothing;
    case Format::flat:
      return is_store(op) || (op.op_class == OpClass::vmem_atomic && !in.dst.present()) ? Issues::flat_store
                                                                                        : Issues::flat_load;
    case Format::global: case Format::scratch: case Format::mubuf: case Format::mtbuf:
      if (op.op_class == OpClass::other) return Issues::nothing;            // cache invalidation
      return is_store(op) || (op.op_class == OpClass::vmem_atomic && !in.dst.present()) ? Issues::vmem_store
                                                                                        : Issues::vmem_load;
    case Format::sop1: return op.op_class == OpClass::message ? Issues::message : Issues::nothing;
    default: return Issues::nothing;
  }
}

void add(StepCheck& check, const Operand& operand, RegisterUse::Role role, const OperandInfo& type = {},
         u16 copy_to = 0) {
  if (!operand.present() || !is_register(operand.code)) return;
  isa::check(check.count < check.uses.size(), "an instruction uses at most 10 operands");
  const Kind kind = info(type.type).kind;
  check.uses[check.count++] = {operand.code, operand.count_dw, role, copy_to, kind == Kind::mask,
                               kind == Kind::matrix && info(type.type).bits == 256 && type.type != Type::F16X16 &&
                                   type.type != Type::BF16X16};
}

bool copies(const Instruction& in) {
  if (in.encoding != Encoding::native && in.encoding != Encoding::vop3) return false;
  switch (in.opcode) {
    case Opcode::v_mov_b32: case Opcode::v_dual_mov_b32: case Opcode::s_mov_b32: case Opcode::s_mov_b64: return true;
    default: return false;
  }
}

bool is_permlane(Opcode opcode) {
  return opcode == Opcode::v_permlane16_b32 || opcode == Opcode::v_permlanex16_b32 ||
         opcode == Opcode::v_permlane64_b32;
}

void break_rule(StepCheck& check, const char* kind, std::string what) {
  if (check.broken_kind) return;
  check.broken_kind = kind;
  check.broken = std::move(what);
}

// Guide 7.6. Sources of X and Y that are VGPRs come from different banks (number mod 4), the third source and the
// destinations from different halves (even, odd).
void check_vopd(StepCheck& check, const Instruction& in) {
  for (u32 i = 0; i < 2; ++i) {
    const Operand &x = in.src[i], &y = in.y_src[i];
    if (!x.present() || !y.present() || !x.is_vgpr() || !y.is_vgpr() || x.vgpr() % 4 != y.vgpr() % 4) continue;
    break_rule(check, "vopd-banks", fmt::format("source {} of both halves is in bank {} (v{}, v{})", i, x.vgpr() % 4,
                                                x.vgpr(), y.vgpr()));
  }
  if (in.dst.vgpr() % 2 == in.y_dst.vgpr() % 2)
    break_rule(check, "vopd-banks", fmt::format("both results go to {} registers (v{}, v{})",
                                                in.dst.vgpr() % 2 ? "odd" : "even", in.dst.vgpr(), in.y_dst.vgpr()));
}

bool is_valu(Format format) {
  switch (format) {
    case Format::vop1: case Format::vop2: case Format::vopc: case Format::vop3: case Format::vop3sd: case Format::vop3p:
    case Format::vopd: return true;
    default: return false;
  }
}

void add_sources(StepCheck& check, const Instruction& in, const OpInfo& op) {
  const bool copy = copies(in);
  // The carry-in and select masks of wave64 are pairs; store data of scratch may be a spill of what was never written.
  for (u32 i = 0; i < in.src.size(); ++i) {
    if (copy && i == 0 && is_register(in.src[0].code)) {
      add(check, in.src[0], RegisterUse::copy, op.src[0], in.dst.code);
      continue;
    }
    if (in.format == Format::scratch && i == 1) continue;
    add(check, in.src[i], RegisterUse::read, op.src[i]);
  }
  if (op.reads_dst && !op.effects.has(Flag::CROSS_LANE)) add(check, in.dst, RegisterUse::read, op.dst[0]);
}

}  // namespace

StepCheck check_of(const Instruction& in) {
  const OpInfo& op = info(in.opcode);
  StepCheck check;
  check.issues = issues_of(in, op);
  check.is_valu = is_valu(in.format);
  check.is_wmma = op.op_class == OpClass::wmma;
  check.is_cmpx = in.format == Format::vopc && in.dst.code == code_exec_lo;
  check.is_permlane = is_permlane(in.opcode);
  check.special_reads = op.effects.reads;
  check.special_writes = op.effects.writes;
  if (check.is_wmma) check.lanes = Lanes::all;
  if (in.opcode == Opcode::v_readlane_b32 || in.opcode == Opcode::v_readfirstlane_b32) check.lanes = Lanes::one;
  // VGPRs that only one operand slot holds but that are written too
  add_sources(check, in, op);
  if (in.format == Format::scratch) add(check, in.src[1], RegisterUse::copy, op.src[1], code_null);
  add(check, in.dst, RegisterUse::write, op.dst[0]);
  add(check, in.sdst, RegisterUse::write, op.dst[1]);
  if (op.effects.has(Flag::SWAPS)) add(check, in.src[0], RegisterUse::write, op.src[0]);
  if (in.format == Format::vopd) {
    const OpInfo& y = info(in.y_opcode);
    const bool copy = in.y_opcode == Opcode::v_dual_mov_b32 && is_register(in.y_src[0].code);
    for (u32 i = 0; i < in.y_src.size(); ++i) {
      if (copy && i == 0) add(check, in.y_src[0], RegisterUse::copy, y.src[0], in.y_dst.code);
      else add(check, in.y_src[i], RegisterUse::read, y.src[i]);
    }
    if (y.reads_dst) add(check, in.y_dst, RegisterUse::read, y.dst[0]);
    add(check, in.y_dst, RegisterUse::write, y.dst[0]);
    check_vopd(check, in);
  }
  if (op.effects.reads_special(Special::VCC)) add(check, {code_vcc_lo, 1}, RegisterUse::read, Type::MASK);
  if (op.effects.reads_special(Special::M0) && op.op_class != OpClass::message)
    add(check, {code_m0, 1}, RegisterUse::read);
  return check;
}

}  // namespace amlm::isa
