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

void add(StepCheck& check, const Operand& operand, RegisterUse::Role role, const OperandInfo& type = {}) {
  if (operand.present() && operand.code == code_scc) check.reads_scc = true;
  if (!operand.present() || !is_register(operand.code)) return;
  isa::check(check.count < check.uses.size(), "an instruction uses at most 10 operands");
  const Kind kind = info(type.type).kind;
  check.uses[check.count++] = {operand.code, operand.count_dw, role, kind == Kind::mask,
                               kind == Kind::matrix && info(type.type).bits == 256 && type.type != Type::F16X16 &&
                                   type.type != Type::BF16X16};
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

bool is_memory(Format format) {
  switch (format) {
    case Format::smem: case Format::ds: case Format::flat: case Format::global: case Format::scratch: case Format::mubuf:
    case Format::mtbuf: return true;
    default: return false;
  }
}

Passes passes_of(const Instruction& in, const OpInfo& op) {
  using enum Opcode;
  switch (in.opcode) {
    case v_readfirstlane_b32: case v_readlane_b32: case v_permlane16_b32: case v_permlanex16_b32: case v_permlane64_b32:
    case v_swap_b32: case v_swaprel_b32: case v_movreld_b32: case v_movrels_b32: case v_movrelsd_b32:
    case v_movrelsd_2_b32: case ds_swizzle_b32: case s_movrels_b32: case s_movrels_b64: case s_movreld_b32:
    case s_movreld_b64: case s_movrelsd_2_b32: return Passes::moves;
    case v_swap_b16: return Passes::exchange;
    case v_writelane_b32: return Passes::write_lane;
    case ds_bpermute_b32: return Passes::from_lanes;
    case ds_permute_b32: return Passes::to_lanes;
    case s_cbranch_scc0: case s_cbranch_scc1: return Passes::branch_scc;
    case s_cbranch_vccz: case s_cbranch_vccnz: return Passes::branch_vcc;
    default: break;
  }
  if (is_memory(in.format)) return Passes::load;
  if (in.format == Format::vopd) return Passes::dual;
  if (op.op_class == OpClass::wmma) return Passes::matrix;
  if (is_valu(in.format)) return Passes::lanes;
  const bool results = in.dst.present() || op.effects.writes_special(Special::SCC);
  return results && in.format != Format::sopp ? Passes::scalar : Passes::nothing;
}

// A buffer load compares each lane's offset with the descriptor: a wrong one gives a wrong value, but no page fault.
bool checks_range(const Instruction& in, const OpInfo& op) {
  return (in.format == Format::mubuf || in.format == Format::mtbuf) && op.op_class == OpClass::vmem_load;
}

// What a source is to its instruction.
RegisterUse::Role role_of(const Instruction& in, const OpInfo& op, Passes passes, u32 source) {
  using enum Opcode;
  if (passes == Passes::load) {
    if (source == 0 && checks_range(in, op)) return RegisterUse::read;
    const bool data = source == 1 || (source == 2 && in.format == Format::ds);
    return data && in.format != Format::smem ? RegisterUse::data : RegisterUse::steer;
  }
  switch (in.opcode) {
    case v_readlane_b32: case v_writelane_b32: return source == 1 ? RegisterUse::steer : RegisterUse::read;
    case v_permlane16_b32: case v_permlanex16_b32: return source ? RegisterUse::steer : RegisterUse::read;
    case s_setpc_b64: case s_swappc_b64: case s_setreg_b32: return RegisterUse::steer;
    default: return op.op_class == OpClass::wait ? RegisterUse::steer : RegisterUse::read;
  }
}

MemoryShape memory_shape_of(const Instruction& in, const OpInfo& op) {
  MemoryShape shape;
  const OperandInfo& data = op.dst_count ? op.dst[0] : op.src[1];
  const u32 bits = info(data.type).bits;
  const bool atomic = op.op_class == OpClass::vmem_atomic;
  shape.checks_range = checks_range(in, op);
  shape.converts = op.name.find("format") != std::string_view::npos;
  if ((bits == 8 || bits == 16) && !atomic) shape.bytes = u8(bits / 8);
  shape.is_signed = info(data.type).kind == Kind::signed_integer;
  shape.part = op.effects.has(Flag::D16_HI) ? 2 : op.effects.has(Flag::D16) && op.dst_count ? 1 : 0;
  if (in.format == Format::ds && in.src[2].present() && op.effects.has(Flag::OFFSET_PAIR))
    shape.first_bytes = u8(in.src[1].count_dw * 4);
  return shape;
}

bool is_dpp(Encoding encoding) { return encoding != Encoding::native && encoding != Encoding::vop3; }

// Results that leave part of a register, or some lanes, as they were.
bool keeps_part(const Instruction& in, const OpInfo& op, const StepCheck& check) {
  if (!in.dst.present() || !in.dst.is_vgpr()) return false;
  if (check.passes == Passes::load) return check.memory.part != 0;
  return info(op.dst[0].type).bits == 16 || op.reads_dst || is_dpp(in.encoding) || is_permlane(in.opcode);
}

void add_vopd_half(StepCheck& check, const Instruction& in) {
  const OpInfo& y = info(in.y_opcode);
  for (u32 i = 0; i < in.y_src.size(); ++i) add(check, in.y_src[i], RegisterUse::read, y.src[i]);
  if (y.reads_dst) add(check, in.y_dst, RegisterUse::read, y.dst[0]);
  add(check, in.y_dst, RegisterUse::write, y.dst[0]);
  check_vopd(check, in);
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
  check.passes = passes_of(in, op);
  if (check.passes == Passes::load) check.memory = memory_shape_of(in, op);
  check.any_lane = op.effects.has(Flag::CROSS_LANE) || is_dpp(in.encoding);
  check.reads_scc = op.effects.reads_special(Special::SCC);
  check.keeps_part = keeps_part(in, op, check);
  const bool reads_m0 = op.effects.reads_special(Special::M0) && op.op_class != OpClass::message;
  check.always_passes = check.passes == Passes::write_lane || (check.passes == Passes::moves && reads_m0);
  for (u32 i = 0; i < in.src.size(); ++i) add(check, in.src[i], role_of(in, op, check.passes, i), op.src[i]);
  if (op.reads_dst && !op.effects.has(Flag::CROSS_LANE)) add(check, in.dst, RegisterUse::read, op.dst[0]);
  if (op.effects.reads_special(Special::VCC)) add(check, {code_vcc_lo, 1}, RegisterUse::read, Type::MASK);
  if (reads_m0) add(check, {code_m0, 1}, RegisterUse::steer);
  add(check, in.dst, RegisterUse::write, op.dst[0]);
  add(check, in.sdst, RegisterUse::write, op.dst[1]);
  if (op.effects.has(Flag::SWAPS)) add(check, in.src[0], RegisterUse::write, op.src[0]);
  if (in.format == Format::vopd) add_vopd_half(check, in);
  return check;
}

}  // namespace amlm::isa
