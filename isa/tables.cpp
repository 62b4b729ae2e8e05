// Builds the constant tables of tables.h from the rows.
#include "isa/tables.h"

#include <algorithm>

namespace amlm::isa {
namespace {

using enum Type;
using enum Special;

struct Operands {
  std::array<OperandInfo, 4> list{};
  u8 count = 0;
  bool read_too = false;
};

// The words of the rows: W(F32), R(F32, S(B32)), RW(EXEC) + W(SCC), D16 + R(M0).
template <class... T>
constexpr Operands operands(bool read_too, T... types) {
  return {.list = {OperandInfo(types)...}, .count = u8(sizeof...(types)), .read_too = read_too};
}
template <class... T>
constexpr Operands R(T... types) { return operands(false, types...); }
template <class... T>
constexpr Operands W(T... types) { return operands(false, types...); }
template <class... T>
constexpr Operands RW(T... types) { return operands(true, types...); }
constexpr Effects R(Special s) { return {.reads = u8(s)}; }
constexpr Effects W(Special s) { return {.writes = u8(s)}; }
constexpr Effects RW(Special s) { return {.reads = u8(s), .writes = u8(s)}; }
constexpr OperandInfo S(Type type) { return {type, Where::scalar}; }
constexpr OperandInfo L(Type type) { return {type, Where::lane_select}; }
constexpr OperandInfo SR(Type type) { return {type, Where::scalar_register}; }
constexpr OperandInfo V(Type type) { return {type, Where::vgpr}; }
constexpr OperandInfo VK(Type type) { return {type, Where::vgpr_or_inline}; }
constexpr Effects flag(Flag f) { return {.flags = u16(f)}; }
constexpr Effects NONE = flag(Flag::NONE), GLC_RETURNS = flag(Flag::GLC_RETURNS), OFFSET_PAIR = flag(Flag::OFFSET_PAIR),
                  D16 = flag(Flag::D16), D16_HI = flag(Flag::D16_HI), CROSS_LANE = flag(Flag::CROSS_LANE),
                  LANE_NUMBER = flag(Flag::LANE_NUMBER), SWAPS = flag(Flag::SWAPS), SATURATES = flag(Flag::SATURATES),
                  FLOAT_MODIFIERS = flag(Flag::FLOAT_MODIFIERS), NO_DPP = flag(Flag::NO_DPP),
                  NO_VOP3 = flag(Flag::NO_VOP3), GDS_ONLY = flag(Flag::GDS_ONLY);
constexpr Effects operator+(Effects a, Effects b) {
  return {u8(a.reads | b.reads), u8(a.writes | b.writes), u16(a.flags | b.flags)};
}

constexpr OpInfo row(std::string_view name, u16 number, Format format, Operands writes, Operands reads, Effects effects,
                     OpClass op_class, bool executed) {
  return {.name = name, .number = number, .format = format, .executed = executed, .op_class = op_class,
          .dst_count = writes.count, .src_count = reads.count, .reads_dst = writes.read_too,
          .dst = {writes.list[0], writes.list[1]}, .src = reads.list, .effects = effects};
}

constexpr std::array<OpInfo, opcode_count> rows = {
#define OP(name, number, format, writes, reads, effects, op_class) \
  row(#name, number, Format::format, writes, reads, effects, OpClass::op_class, true),
#define OP_NAMED(name, number, format, writes, reads, effects, op_class) \
  row(#name, number, Format::format, writes, reads, effects, OpClass::op_class, false),
#include "isa/tables/all.inc"
};

constexpr TypeInfo types[] = {
#define TYPE(name, bits, kind) {#name, bits, Kind::kind},
#include "isa/tables/types.inc"
#undef TYPE
};

constexpr std::string_view format_names[] = {
    "SOP1", "SOP2", "SOPK", "SOPC", "SOPP", "SMEM", "VOP1", "VOP2", "VOPC", "VOP3", "VOP3SD", "VOP3P", "VOPD",
    "VINTERP", "DS", "LDSDIR", "FLAT", "GLOBAL", "SCRATCH", "MUBUF", "MTBUF", "MIMG", "EXP"};
constexpr u32 format_count = std::size(format_names);
static_assert(u32(Format::exp) + 1 == format_count);

constexpr std::string_view class_names[] = {
    "valu", "trans", "valu64", "f64", "quarter", "dot", "wmma", "salu", "salu_float", "smem", "vmem_load", "vmem_store",
    "vmem_atomic", "lds", "branch", "wait", "barrier", "message", "other"};
static_assert(std::size(class_names) == u32(OpClass::other) + 1);

// Row number + 1 by opcode number; 0 = none. VOP3 and VOP3SD share one opcode space.
constexpr u32 vop3_numbers = 1024, numbers = 256;
struct Index {
  std::array<std::array<u16, numbers>, format_count> by_format{};
  std::array<u16, vop3_numbers> vop3{};
};

constexpr u32 vop3_number(const OpInfo& op) {
  switch (op.format) {
    case Format::vop1: return op.number + 0x180u;
    case Format::vop2: return op.number + 0x100u;
    case Format::vopc: case Format::vop3: case Format::vop3sd: return op.number;
    default: return vop3_numbers;
  }
}

constexpr bool claim(u16& slot, u32 index) {
  if (slot != 0) return false;
  slot = u16(index + 1);
  return true;
}

// Two rows with one number make `index` not a constant expression.
constexpr Index make_index() {
  Index index;
  for (u32 i = 0; i < opcode_count; ++i) {
    const u32 vop3 = vop3_number(rows[i]);
    bool fresh = vop3 == vop3_numbers || claim(index.vop3[vop3], i);
    if (rows[i].number < numbers) fresh = fresh && claim(index.by_format[u32(rows[i].format)][rows[i].number], i);
    if (!fresh) std::abort();
  }
  return index;
}
constexpr Index index_of_rows = make_index();

bool floats(Type type) {
  const Kind kind = info(type).kind;
  return kind == Kind::floating || kind == Kind::brain_floating || kind == Kind::packed_floating;
}

bool float_matrix(Type type) {
  return type == F16X16 || type == BF16X16 || type == F32X8 || type == F16H8 || type == BF16H8;
}

bool either_sign(Type type) { return type == IU8X4 || type == IU4X8 || type == IU8X16 || type == IU4X16; }

bool is_half(Type type) { return info(type).bits == 16 && info(type).kind != Kind::literal; }

// Isa.md 4.2, 4.3, 4.6: NEG tells the signedness of IU operands; OPSEL picks halves of packed operands, and of the
// result of a WMMA with 16-bit C and D (bit 2).
Modifiers packed_modifiers(const OpInfo& op) {
  Modifiers allowed;
  for (u32 i = 0; i < op.src_count; ++i) {
    const Type type = op.src[i].type;
    if (floats(type) || float_matrix(type)) allowed.neg |= u8(1 << i), allowed.neg_hi |= u8(1 << i);
    if (either_sign(type)) allowed.neg |= u8(1 << i);
    if (op.op_class != OpClass::wmma) allowed.opsel |= u8(1 << i);
  }
  if (op.dst[0].type == F16H8 || op.dst[0].type == BF16H8) allowed.opsel = 4;
  allowed.clamp = !float_matrix(op.dst[0].type);
  allowed.dpp = op.src[0].type == MIX || (op.op_class == OpClass::dot && (op.src[0].type == F16X2 || op.src[0].type == BF16X2));
  return allowed;
}

bool allows_dpp(const OpInfo& op) {
  for (const Flag never : {Flag::CROSS_LANE, Flag::SWAPS, Flag::NO_DPP})
    if (op.effects.has(never)) return false;
  if (op.op_class == OpClass::quarter) return false;
  const auto wide = [](const OperandInfo& operand) { return info(operand.type).bits > 32; };
  const auto literal = [](const OperandInfo& operand) { return info(operand.type).kind == Kind::literal; };
  return std::ranges::none_of(op.dst, wide) && std::ranges::none_of(op.src, wide) &&
         std::ranges::none_of(op.src, literal);
}

bool has_vop3_form(const OpInfo& op) {
  const auto literal = [](const OperandInfo& operand) { return info(operand.type).kind == Kind::literal; };
  if (op.format != Format::vop1 && op.format != Format::vop2 && op.format != Format::vopc) return false;
  return !op.effects.has(Flag::NO_VOP3) && !op.effects.has(Flag::SWAPS) &&
         std::ranges::none_of(op.src, literal);
}

}  // namespace

Modifiers modifiers(const OpInfo& op) {
  if (op.format == Format::vop3p) return packed_modifiers(op);
  Modifiers allowed;
  bool all_float = op.src_count > 0, any_float = false;
  for (u32 i = 0; i < op.src_count; ++i) {
    const Type type = op.src[i].type;
    const bool is_float = floats(type) || (op.effects.has(Flag::FLOAT_MODIFIERS) && type != MASK);
    if (is_float) allowed.neg |= u8(1 << i), allowed.abs |= u8(1 << i);
    if (is_half(type)) allowed.opsel |= u8(1 << i);
    all_float = all_float && floats(type);
    any_float = any_float || floats(type);
  }
  const Type result = op.dst[0].type;
  const bool float_result = floats(result) && info(result).kind != Kind::packed_floating;
  if (op.dst_count > 0 && is_half(result)) allowed.opsel |= 8;
  if (op.name == "v_permlane16_b32" || op.name == "v_permlanex16_b32") allowed.opsel = 3;  // FI, BOUND_CTRL
  allowed.omod = float_result && op.op_class != OpClass::dot;
  allowed.clamp = op.effects.has(Flag::SATURATES) ||
                  (op.op_class != OpClass::dot && (float_result || (op.format == Format::vopc ? all_float : any_float)));
  allowed.vop3 = has_vop3_form(op);
  allowed.dpp = op.src_count > 0 && allows_dpp(op);
  return allowed;
}

const OpInfo& info(Opcode opcode) {
  check(u32(opcode) < opcode_count, "opcode in range");
  return rows[u32(opcode)];
}

const TypeInfo& info(Type type) { return types[u32(type)]; }
std::string_view name(Format format) { return format_names[u32(format)]; }
std::string_view name(OpClass op_class) { return class_names[u32(op_class)]; }

std::optional<Opcode> lookup(Format format, u32 number) {
  if (format == Format::vop3 || format == Format::vop3sd) {
    const auto found = lookup_vop3(number);
    return found && info(*found).format == format ? found : std::nullopt;
  }
  if (number >= numbers) return std::nullopt;
  const u16 found = index_of_rows.by_format[u32(format)][number];
  return found ? std::optional(Opcode(found - 1)) : std::nullopt;
}

std::optional<Opcode> lookup_vop3(u32 number) {
  if (number >= vop3_numbers) return std::nullopt;
  const u16 found = index_of_rows.vop3[number];
  return found ? std::optional(Opcode(found - 1)) : std::nullopt;
}

std::optional<Opcode> lookup(std::string_view name) {
  const auto found = std::ranges::find(rows, name, &OpInfo::name);
  return found == rows.end() ? std::nullopt : std::optional(Opcode(found - rows.begin()));
}

}  // namespace amlm::isa
