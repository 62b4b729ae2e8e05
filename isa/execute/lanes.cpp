#include "isa/execute/lanes.h"

#include <cfenv>
#include <cmath>

#if defined(__x86_64__)
#include "isa/execute/host_vectors.h"
#endif

namespace amlm::isa {

namespace {

constexpr u16 half_constants[9] = {0x3800, 0xb800, 0x3c00, 0xbc00, 0x4000, 0xc000, 0x4400, 0xc400, 0x3118};
constexpr u64 wide_constants[9] = {0x3fe0000000000000, 0xbfe0000000000000, 0x3ff0000000000000,
                                   0xbff0000000000000, 0x4000000000000000, 0xc000000000000000,
                                   0x4010000000000000, 0xc010000000000000, 0x3fc45f306dc9c882};

bool is_f16(Type type) { return type == Type::F16 || type == Type::K_F16; }
bool is_f32(Type type) { return type == Type::F32 || type == Type::K_F32; }
bool is_16_bit(Type type) { return info(type).bits == 16 && info(type).kind != Kind::immediate; }
bool is_64_bit(Type type) { return info(type).bits == 64; }

// ---- Host rounding -----------------------------------------------------------------------------------------------

constexpr int host_rounding[4] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

void set_host(Modified& modified, u32 rounding) {
  if (rounding == 0) return;
  modified.scoped = true;
  modified.host_control = u32(std::fegetround());
  std::fesetround(host_rounding[rounding]);
}

u32 rounding_of(const Step& step, u32 mode) {
  const OpInfo& row = info(step.in.opcode);
  Type type = row.dst[0].type;
  if (info(type).kind != Kind::floating && info(type).kind != Kind::packed_floating) type = row.src[0].type;
  if (info(type).kind != Kind::floating && info(type).kind != Kind::packed_floating) return 0;
  return is_f32(type) || type == Type::MIX ? mode & 3 : mode >> 2 & 3;
}

// ---- DPP ---------------------------------------------------------------------------------------------------------

// The lane that lane i reads; -1: outside its row.
int dpp16_source(u32 control, int i) {
  const int row = i & ~15, column = i & 15, amount = int(control & 15);
  if (control < 0x100) return (i & ~3) | int(control >> (2 * (i & 3)) & 3);
  switch (control & 0x1f0) {
    case 0x100: return column + amount < 16 ? row + column + amount : -1;      // row_shl reads from the right
    case 0x110: return column - amount >= 0 ? row + column - amount : -1;      // row_shr
    case 0x120: return row + ((column - amount) & 15);                         // row_ror
    case 0x140: return amount == 0 ? row + 15 - column : (i & ~7) + 7 - (i & 7);   // row_mirror, row_half_mirror
    case 0x150: return row + amount;                                           // row_share
    default: return row + (column ^ amount);                                   // row_xmask
  }
}

bool dpp16_valid(u32 control) {
  if (control < 0x100) return true;
  switch (control & 0x1f0) {
    case 0x100: case 0x110: case 0x120: return (control & 15) != 0;
    case 0x140: return (control & 15) < 2;
    case 0x150: case 0x160: return true;
    default: return false;
  }
}

bool is_dpp(Encoding encoding) {
  return encoding == Encoding::dpp8 || encoding == Encoding::dpp16 || encoding == Encoding::vop3_dpp8 ||
         encoding == Encoding::vop3_dpp16;
}

// The source lane of each lane, by control, and which lanes have one.
struct DppTable {
  u8 lane[0x170][half_lanes];
  alignas(32) u32 column[0x170][16];   // the same within a row of 16, which is all that DPP16 reaches
  u32 valid[0x170];
  DppTable() {
    for (u32 control = 0; control < 0x170; control++) {
      valid[control] = 0;
      for (u32 i = 0; i < half_lanes; i++) {
        const int source = dpp16_valid(control) ? dpp16_source(control, int(i)) : -1;
        lane[control][i] = source < 0 ? 0 : u8(source);
        column[control][i % 16] = lane[control][i] % 16;
        valid[control] |= u32(source >= 0) << i;
      }
    }
  }
};
const DppTable dpp_table;

// Each row of 16 lanes permuted by one table of columns.
void permute_rows(const u32* from, const u32* column, u32* to) {
#if defined(__AVX2__)
  for (u32 row = 0; row < half_lanes; row += 16) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + row));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + row + 8));
    for (u32 i = 0; i < 16; i += 8) {
      const __m256i index = _mm256_load_si256(reinterpret_cast<const __m256i*>(column + i));
      const __m256i is_high = _mm256_slli_epi32(index, 28);
      const __m256 a = _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(low, index));
      const __m256 b = _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(high, index));
      _mm256_storeu_ps(reinterpret_cast<float*>(to + row + i), _mm256_blendv_ps(a, b, _mm256_castsi256_ps(is_high)));
    }
  }
#else
  for (u32 i = 0; i < half_lanes; i++) to[i] = from[(i & 16) + column[i % 16]];
#endif
}

// Lanes of the half whose rows and banks the masks allow.
u32 dpp16_allowed(const Instruction& in, u32 half) {
  if (in.row_mask == 0xf && in.bank_mask == 0xf) return ~0u;
  u32 allowed = 0;
  for (u32 quad = 0; quad < 8; quad++)
    if ((in.row_mask >> (2 * half + quad / 4) & 1) != 0 && (in.bank_mask >> (quad % 4) & 1) != 0)
      allowed |= 15u << (4 * quad);
  return allowed;
}

}  // namespace

// src0 through DPP. Lanes without a source are not written, or read 0 with BOUND_CTRL (isa.md 4.10).
bool dpp_lanes(Wave& wave, const Instruction& in, const u32* from, u32* to, u32& write) {
  const bool dpp8 = in.encoding == Encoding::dpp8 || in.encoding == Encoding::vop3_dpp8;
  if (!dpp8 && !dpp16_valid(in.dpp_ctrl)) {
    wave.raise("undefined", "DPP control that RDNA3 does not have");
    return false;
  }
  const u32 exec = in.fetch_inactive ? ~0u : wave.exec();
  alignas(64) u32 result[half_lanes], active[half_lanes];
  u8 dpp8_lane[half_lanes];
  const u8* source = dpp_table.lane[dpp8 ? 0 : in.dpp_ctrl];
  u32 readable = dpp8 ? ~0u : dpp_table.valid[in.dpp_ctrl];
  if (dpp8) {
    for (u32 i = 0; i < half_lanes; i++) dpp8_lane[i] = u8((i & ~7u) | (in.dpp8_select >> (3 * (i & 7)) & 7));
    source = dpp8_lane;
  }
  if (dpp8) for (u32 i = 0; i < half_lanes; i++) result[i] = from[source[i]];
  else permute_rows(from, dpp_table.column[in.dpp_ctrl], result);
  if (exec != ~0u) {
    u32 reads_active = 0;
    for (u32 i = 0; i < half_lanes; i++) active[i] = (exec >> source[i] & 1) << i;
    for (u32 i = 0; i < half_lanes; i++) reads_active |= active[i];
    readable &= reads_active;
  }
  if (readable != ~0u)
    for (u32 i = 0; i < half_lanes; i++) result[i] = (readable >> i & 1) != 0 ? result[i] : 0;
  if (!dpp8) write &= (in.bound_ctrl ? ~0u : readable) & dpp16_allowed(in, wave.half);
  std::memcpy(to, result, sizeof result);
  return true;
}

namespace {

// ---- Modifiers of one source --------------------------------------------------------------------------------------

void sign_modify(u32* lanes, u32 sign_bit, bool absolute, bool negate) {
  const u32 keep = absolute ? ~sign_bit : ~0u, flip = negate ? sign_bit : 0;
  for (u32 i = 0; i < half_lanes; i++) lanes[i] = (lanes[i] & keep) ^ flip;
}

void flush_f16(u32* lanes) {
  for (u32 i = 0; i < half_lanes; i++)
    lanes[i] = (lanes[i] & 0x7c00) == 0 ? lanes[i] & ~u32{0x3ff} : lanes[i];
}
void flush_f64(LaneBuffer& lanes) {
  for (u32 i = 0; i < half_lanes; i++)
    if ((lanes.high[i] & 0x7ff00000) == 0) lanes.high[i] &= 0x80000000, lanes.low[i] = 0;
}

struct SourceInfo {
  Operand operand;
  Type type;
  u32 index;
  bool source;   // false: the old destination, which has no modifiers
  bool half;     // wanted widened
};

bool fetch_one(Wave& wave, const Step& step, const SourceInfo& s, Lanes& lanes, LaneBuffer& buffer, Modified& modified) {
  const Instruction& in = step.in;
  if (s.type == Type::MASK) {
    buffer.low[0] = read_mask(wave, s.operand, in);
    lanes.low = buffer.low;
    return true;
  }
  const Kind kind = info(s.type).kind;
  if (is_64_bit(s.type)) {
    if (s.operand.is_vgpr()) {
      std::memcpy(buffer.low, wave.vgpr(s.operand.vgpr()), sizeof buffer.low);
      std::memcpy(buffer.high, wave.vgpr(s.operand.vgpr() + 1), sizeof buffer.high);
    } else {
      const u64 value = scalar_wide(wave, s.operand.code, in, kind);
      broadcast(buffer.low, u32(value));
      broadcast(buffer.high, u32(value >> 32));
    }
  } else if (s.operand.is_vgpr()) {
    std::memcpy(buffer.low, wave.vgpr(s.operand.vgpr()), sizeof buffer.low);
  } else {
    broadcast(buffer.low, is_16_bit(s.type) ? scalar_half(wave, s.operand.code, in) : wave.scalar(s.operand.code, in));
  }
  lanes = {buffer.low, buffer.high};
  if (s.index == 0 && s.source && is_dpp(in.encoding) &&
      !dpp_lanes(wave, in, buffer.low, buffer.low, modified.write)) return false;
  if (is_16_bit(s.type)) {
    const bool high = s.source ? (in.opsel >> s.index & 1) != 0 : (in.opsel & 8) != 0;
    for (u32 i = 0; i < half_lanes; i++) buffer.low[i] = high ? buffer.low[i] >> 16 : buffer.low[i] & 0xffff;
  }
  const bool absolute = s.source && (in.abs >> s.index & 1) != 0, negate = s.source && (in.neg >> s.index & 1) != 0;
  if (absolute || negate) {
    if (kind != Kind::floating && kind != Kind::brain_floating && kind != Kind::bits) {
      wave.raise("undefined", kind == Kind::packed_floating
                                  ? "neg or abs on a packed source: no document says which half is meant"
                                  : "neg or abs on an integer source");
      return false;
    }
    if (is_64_bit(s.type)) sign_modify(buffer.high, 0x80000000, absolute, negate);
    else sign_modify(buffer.low, is_16_bit(s.type) ? 0x8000 : 0x80000000, absolute, negate);
  }
  if ((wave.mode & 0x50) != 0x50 && !step.keeps_subnormals) {
    if (is_f32(s.type) && (wave.mode & 0x10) == 0) flush_denormals(buffer.low, buffer.low);
    if (is_f16(s.type) && (wave.mode & 0x40) == 0) flush_f16(buffer.low);
    if (s.type == Type::F64 && (wave.mode & 0x40) == 0) flush_f64(buffer);
  }
  if (s.half) widen_halves(buffer.low, buffer.low);
  return true;
}

// ---- Result modifiers ----------------------------------------------------------------------------------------------

// omod works only with IEEE off and output denormals flushed; it turns -0 into +0.
bool omod_works(const Instruction& in, u32 mode, bool f32_result) {
  if (in.omod == 0 || (mode >> 9 & 1) != 0) return false;
  return (mode & (f32_result ? 0x20 : 0x80)) == 0;
}

void finish_f32(const Instruction& in, u32 mode, u32* lanes) {
  const f32 factor = in.omod == 1 ? 2.0f : in.omod == 2 ? 4.0f : 0.5f;
  const bool scale = omod_works(in, mode, true), flush = (mode & 0x20) == 0, nan_to_zero = (mode & 0x100) != 0;
  for (u32 i = 0; i < half_lanes; i++) {
    u32 bits = lanes[i];
    if (flush && (bits & 0x7f800000) == 0) bits &= 0x80000000;
    if (scale) {
      bits = std::bit_cast<u32>(std::bit_cast<f32>(bits) * factor);
      if ((bits & 0x7f800000) == 0) bits = 0;
    }
    if (in.clamp) {
      const f32 value = std::bit_cast<f32>(bits);
      if (value != value) bits = nan_to_zero ? 0 : bits;
      else bits = value > 0 ? std::bit_cast<u32>(value < 1 ? value : 1.0f) : 0;
    }
    lanes[i] = bits;
  }
}

void finish_f16(const Instruction& in, u32 mode, u32* lanes) {
  const bool scale = omod_works(in, mode, false), flush = (mode & 0x80) == 0, nan_to_zero = (mode & 0x100) != 0;
  if (flush) flush_f16(lanes);
  if (!scale && !in.clamp) return;
  alignas(64) u32 floats[half_lanes];
  widen_halves(lanes, floats);
  const f32 factor = in.omod == 1 ? 2.0f : in.omod == 2 ? 4.0f : 0.5f;
  for (u32 i = 0; i < half_lanes; i++) {
    f32 value = std::bit_cast<f32>(floats[i]);
    if (scale) value = value * factor == 0 ? 0.0f : value * factor;
    if (in.clamp) {
      if (value != value) value = nan_to_zero ? 0.0f : value;
      else value = value > 0 ? (value < 1 ? value : 1.0f) : 0.0f;
    }
    floats[i] = std::bit_cast<u32>(value);
  }
  narrow_halves(floats, lanes);
  if (scale)
    for (u32 i = 0; i < half_lanes; i++) lanes[i] = (lanes[i] & 0x7c00) == 0 ? 0 : lanes[i];
}

void finish_f64(const Instruction& in, u32 mode, LaneBuffer& lanes) {
  const bool scale = omod_works(in, mode, false), flush = (mode & 0x80) == 0, nan_to_zero = (mode & 0x100) != 0;
  const f64 factor = in.omod == 1 ? 2.0 : in.omod == 2 ? 4.0 : 0.5;
  if (flush) flush_f64(lanes);
  for (u32 i = 0; i < half_lanes; i++) {
    f64 value = std::bit_cast<f64>(u64(lanes.low[i]) | u64(lanes.high[i]) << 32);
    if (scale) value = std::fpclassify(value * factor) == FP_SUBNORMAL || value * factor == 0 ? 0.0 : value * factor;
    if (in.clamp) {
      if (value != value) value = nan_to_zero ? 0.0 : value;
      else value = value > 0 ? (value < 1 ? value : 1.0) : 0.0;
    }
    lanes.low[i] = u32(std::bit_cast<u64>(value));
    lanes.high[i] = u32(std::bit_cast<u64>(value) >> 32);
  }
}

}  // namespace

u32 scalar_half(const Wave& wave, u16 code, const Instruction& in) {
  if (code >= 240 && code <= 248) return half_constants[code - 240];
  return wave.scalar(code, in);
}

u64 scalar_wide(const Wave& wave, u16 code, const Instruction& in, Kind kind) {
  if (code == code_null) return 0;
  if (code < 128) return u64(wave.sgpr[code]) | u64(wave.sgpr[code + 1]) << 32;
  if (code == code_literal) {
    if (kind == Kind::floating) return u64(in.literal) << 32;
    return kind == Kind::signed_integer ? u64(i64(i32(in.literal))) : u64(in.literal);
  }
  if (code >= 240 && code <= 248) return wide_constants[code - 240];
  if (code <= 208) return u64(i64(i32(wave.scalar(code, in))));
  return wave.scalar64(code, in);
}

#if defined(__F16C__) && defined(__AVX2__)

void widen_halves(const u32* halves, u32* floats) {
  const __m256i low = _mm256_set1_epi32(0xffff);
  for (u32 i = 0; i < half_lanes; i += 8) {
    const __m256i lanes = _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves + i)), low);
    const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    _mm256_storeu_ps(reinterpret_cast<float*>(floats + i), _mm256_cvtph_ps(packed));
  }
}

void narrow_halves(const u32* floats, u32* halves) {
  for (u32 i = 0; i < half_lanes; i += 8) {
    const __m256 lanes = _mm256_loadu_ps(reinterpret_cast<const float*>(floats + i));
    const __m128i packed = _mm256_cvtps_ph(lanes, _MM_FROUND_CUR_DIRECTION);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(halves + i), _mm256_cvtepu16_epi32(packed));
  }
}

void widen_packed(const u32* packed, f32* floats) {
  const u16* halves = reinterpret_cast<const u16*>(packed);
  for (u32 i = 0; i < 2 * half_lanes; i += 8)
    _mm256_storeu_ps(floats + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i))));
}

void narrow_packed(const f32* floats, u32* packed) {
  u16* halves = reinterpret_cast<u16*>(packed);
  for (u32 i = 0; i < 2 * half_lanes; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(floats + i), _MM_FROUND_CUR_DIRECTION));
}

void narrow_halves_toward_zero(const u32* floats, u32* halves) {
  for (u32 i = 0; i < half_lanes; i += 8) {
    const __m256 lanes = _mm256_loadu_ps(reinterpret_cast<const float*>(floats + i));
    const __m128i packed = _mm256_cvtps_ph(lanes, _MM_FROUND_TO_ZERO);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(halves + i), _mm256_cvtepu16_epi32(packed));
  }
}

#else

void widen_packed(const u32* packed, f32* floats) {
  alignas(64) u32 halves[half_lanes], wide[half_lanes];
  for (u32 h = 0; h < 2; h++) {
    for (u32 i = 0; i < half_lanes; i++) halves[i] = packed[i] >> (16 * h) & 0xffff;
    widen_halves(halves, wide);
    for (u32 i = 0; i < half_lanes; i++) floats[2 * i + h] = std::bit_cast<f32>(wide[i]);
  }
}

void narrow_packed(const f32* floats, u32* packed) {
  alignas(64) u32 wide[2][half_lanes];
  for (u32 h = 0; h < 2; h++) {
    for (u32 i = 0; i < half_lanes; i++) wide[h][i] = std::bit_cast<u32>(floats[2 * i + h]);
    narrow_halves(wide[h], wide[h]);
  }
  for (u32 i = 0; i < half_lanes; i++) packed[i] = wide[0][i] | wide[1][i] << 16;
}

void narrow_halves_toward_zero(const u32* floats, u32* halves) {
  const int rounding = std::fegetround();
  std::fesetround(FE_TOWARDZERO);
  narrow_halves(floats, halves);
  std::fesetround(rounding);
}

void widen_halves(const u32* halves, u32* floats) {
  for (u32 i = 0; i < half_lanes; i++) {
    const u32 sign = (halves[i] & 0x8000) << 16, field = halves[i] >> 10 & 31, fraction = halves[i] & 0x3ff;
    if (field == 31) floats[i] = sign | 0x7f800000 | fraction << 13 | (fraction != 0 ? 0x400000 : 0);
    else if (field != 0) floats[i] = sign | (field + 112) << 23 | fraction << 13;
    else floats[i] = sign | std::bit_cast<u32>(f32(fraction) * 0x1p-24f);
  }
}

void narrow_halves(const u32* floats, u32* halves) {
  const int rounding = std::fegetround();
  for (u32 i = 0; i < half_lanes; i++) {
    const u32 sign = floats[i] >> 16 & 0x8000, magnitude = floats[i] & 0x7fffffff;
    if (magnitude >= 0x7f800000) {
      halves[i] = sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 | (magnitude >> 13 & 0x3ff) : 0);
      continue;
    }
    const i32 exponent = i32(magnitude >> 23) - 127;
    const u64 significand = u64((magnitude & 0x7fffff) | (magnitude >= 0x800000 ? 0x800000 : 0)) << 20;
    const i32 drop = 33 + (exponent < -14 ? -14 - exponent : 0);
    u32 bits = drop > 62 ? 0 : u32(significand >> drop);
    const u64 rest = drop > 62 ? significand : significand & ((u64{1} << drop) - 1);
    const u64 half = drop > 62 ? ~u64{0} : u64{1} << (drop - 1);
    const bool away = (rounding == FE_UPWARD && sign == 0) || (rounding == FE_DOWNWARD && sign != 0);
    if (rounding == FE_TONEAREST ? rest > half || (rest == half && (bits & 1) != 0) : away && rest != 0) bits++;
    if (exponent >= -14) bits += u32(exponent + 14) << 10;
    if (bits >= 0x7c00 || exponent > 15)
      bits = rounding == FE_TONEAREST || away ? 0x7c00 : 0x7bff;
    halves[i] = sign | bits;
  }
}

#endif

bool fetch_modified(Wave& wave, const Step& step, SourceList list, Lanes* lanes, LaneBuffer* buffers, Modified& modified) {
  const Instruction& in = step.in;
  const OpInfo& row = info(in.opcode);
  for (u32 k = 0; k < list.count; k++) {
    const bool old = list.accumulate && k == list.count - 1;
    const SourceInfo source{old ? in.dst : in.src[k], old ? row.dst[0].type : row.src[k].type, k, !old,
                            (list.halves >> k & 1) != 0};
    if (!fetch_one(wave, step, source, lanes[k], buffers[k], modified)) return false;
  }
  set_host(modified, rounding_of(step, wave.mode));
  return true;
}

void restore_host(const Modified& modified) {
  if (modified.scoped) std::fesetround(int(modified.host_control));
}

HostRounding::HostRounding(u32 field) { set_host(modified_, field); }
HostRounding::~HostRounding() { restore_host(modified_); }

void finish_modified(Wave& wave, const Step& step, LaneBuffer& result, const Modified& modified, bool integer_clamped) {
  const Instruction& in = step.in;
  const Type type = info(in.opcode).dst[0].type;
  const u32 exec = wave.exec() & modified.write;
  if (is_f32(type)) finish_f32(in, wave.mode, result.low);
  else if (is_f16(type)) finish_f16(in, wave.mode, result.low);
  else if (type == Type::F64) finish_f64(in, wave.mode, result);
  // CLAMP saturates integers: without effect where the result always fits.
  else if (in.clamp && !integer_clamped && info(in.opcode).effects.has(Flag::SATURATES))
    check(false, "a row that saturates has a function that does");
  restore_host(modified);
  u32* to = wave.vgpr(in.dst.vgpr());
  if (is_64_bit(type)) {
    write_lanes(to, result.low, exec);
    write_lanes(wave.vgpr(in.dst.vgpr() + 1), result.high, exec);
  } else if (is_16_bit(type)) {
    if ((in.opsel & 8) != 0)
      for (u32 i = 0; i < half_lanes; i++)
        to[i] = (exec >> i & 1) != 0 ? (to[i] & 0xffff) | result.low[i] << 16 : to[i];
    else write_low_halves(to, result.low, exec);
  } else {
    write_lanes(to, result.low, exec);
  }
}

}  // namespace amlm::isa
