#include "tests/isa/differential/generator.h"

#include <array>
#include <span>

#include <fmt/format.h>


namespace amlm::isa::differential {

namespace {

enum Type { U8, I8, U16, I16, U32, I32, U64, I64, F32, F64, F16, V2I, V2U, V2F, type_count };
constexpr const char* names[] = {"u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64",
                                 "f32", "f64", "f16", "v2i16", "v2u16", "v2f16"};

struct Variable { const char* name; Type type; };
constexpr Variable divergent[] = {
    {"a0", U8}, {"a1", I8}, {"b0", U16}, {"b1", I16}, {"c0", U32}, {"c1", U32}, {"c2", U32}, {"e0", I32}, {"e1", I32},
    {"e2", I32}, {"g0", U64}, {"g1", U64}, {"k0", I64}, {"k1", I64}, {"x0", F32}, {"x1", F32}, {"x2", F32}, {"y0", F64},
    {"y1", F64}, {"z0", F16}, {"z1", F16}, {"p0", V2I}, {"p1", V2U},
    {"q0", V2F}, {"q1", V2F}};
constexpr Variable uniform[] = {{"s0", U32}, {"s1", I32}, {"s2", U64}, {"s3", F32}};

bool is_float(Type t) { return t == F32 || t == F64 || t == F16; }
bool is_vector(Type t) { return t == V2I || t == V2U || t == V2F; }

class Writer {
 public:
  explicit Writer(u64 seed) : state_(seed * 2 + 1) { next(); }

  Program write(u64 seed, const std::string& name) {
    Program program{.seed = seed, .name = name};
    const bool uses_lds = below(2);
    program.phases = uses_lds ? 2 * (1 + below(2)) : 1 + below(3);   // write, barrier, read, ...
    for (u32 phase = 1; phase < program.phases; ++phase) program.exchanges.push_back(exchange());
    for (u32 phase = 0; phase < program.phases; ++phase) {
      out_ += fmt::format("FN void {}_phase{}(State* s, LDS Shared* l, const u32* in, const u32* uni, u32* out, "
                          "u32* sum) {{\n", name, phase);
      if (phase == 0) read_inputs();
      if (phase % 2 && uses_lds) read_lds();
      uniform_only_ = true;
      statements(1 + below(3), 1);
      uniform_only_ = false;
      statements(3 + below(6), 2);
      if (phase % 2 == 0 && uses_lds) write_lds();
      if (phase + 1 == program.phases) write_outputs();
      out_ += "}\n";
    }
    program.source = std::move(out_);
    return program;
  }

 private:
  u64 next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545f4914f6cdd1dull >> 16;
  }
  u32 below(u32 n) { return u32(next() % n); }
  template <class... A>
  const char* one_of(A... a) {
    const std::array<const char*, sizeof...(A)> all{a...};
    return all[below(sizeof...(A))];
  }

  Variable variable() {
    const std::span<const Variable> all = uniform_only_ ? std::span<const Variable>(uniform) : divergent;
    return all[below(u32(all.size()))];
  }

  std::string leaf(Type type) {
    const bool from_uniform = uniform_only_ || below(6) == 0;
    const std::span<const Variable> all = from_uniform ? std::span<const Variable>(uniform) : divergent;
    std::vector<const char*> matching;
    for (const Variable& v : all)
      if (v.type == type) matching.push_back(v.name);
    if (!matching.empty() && below(6)) return fmt::format("s->{}", matching[below(u32(matching.size()))]);
    if (type == U32 && !uniform_only_ && below(3) == 0) return one_of("s->lane", "s->group");
    return constant(type);
  }

  std::string constant(Type type) {
    const u32 small = below(70);
    switch (type) {
      case F32: return fmt::format("({}{}.{}f)", below(2) ? "-" : "", below(2) ? small : 0, below(1000));
      case F64: return fmt::format("({}{}.{})", below(2) ? "-" : "", below(2) ? small : 0, below(100000));
      case F16: return fmt::format("((f16){}{}.{}f)", below(2) ? "-" : "", below(30), below(100));
      case V2I: case V2U: return fmt::format("(({}){{{}, {}}})", names[type], below(60000), below(300));
      case V2F: return fmt::format("((v2f16){{{}.{}f16, -{}.5f16}})", below(20), below(100), below(20));
      case U64: case I64: return fmt::format("(({}){:#x}ull)", names[type], below(2) ? small : next() << below(24));
      default: return fmt::format("(({}){:#x}u)", names[type], below(2) ? small : u32(next()));
    }
  }

  std::string condition(u32 depth) {
    static constexpr Type comparable[] = {U32, I32, U64, I64, F32, F64, U16, I8, F16};
    const Type type = comparable[below(uniform_only_ ? 5 : 9)];
    const std::string compare = fmt::format("({} {} {})", expression(type, depth),
                                            one_of("<", "<=", "==", "!=", ">", ">="), expression(type, depth));
    if (depth && below(4) == 0) return fmt::format("({} {} {})", compare, one_of("&&", "||"), condition(depth - 1));
    return compare;
  }

  // An integer of `type` from another type.
  std::string conversion(Type type, u32 depth) {
    switch (type) {
      case F32: return fmt::format("(f32){}", expression(pick({I32, U32, I64, U64, F64, F16, U8}), depth));
      case F64: return fmt::format("(f64){}", expression(pick({I32, U32, I64, U64, F32}), depth));
      case F16: {
        // LLVM 19 folds (f16)(a * b) into v_fma_mixlo a, b, +0, which turns a product of -0 into +0: adding +0 first makes
        // both sides lose the sign.
        const Type from = pick({F32, I16, U8});
        if (from == F32) return fmt::format("(f16)({} + 0.0f)", expression(from, depth));
        return fmt::format("(f16){}", expression(from, depth));
      }
      case V2I: return fmt::format("(v2i16){{{}, {}}}", expression(I16, depth), expression(I16, depth));
      case V2U: return fmt::format("(v2u16){{{}, {}}}", expression(U16, depth), expression(U16, depth));
      case V2F: return fmt::format("(v2f16){{{}, {}}}", expression(F16, depth), expression(F16, depth));
      case I32: if (below(3) == 0) return fmt::format("to_i32({})", expression(F32, depth)); break;
      case U32:
        switch (uniform_only_ ? below(3) : below(9)) {
          case 0: return fmt::format("to_u32({})", expression(F32, depth));
          case 1: return fmt::format("bits32({})", expression(F32, depth));
          case 3: return fmt::format("bits16({})", expression(F16, depth));
          case 4: return fmt::format("pair_i({})", expression(V2I, depth));
          case 5: return fmt::format("pair_u({})", expression(V2U, depth));
          case 6: return fmt::format("(u32)bits64({})", expression(F64, depth));
          default: break;
        }
        break;
      case I64: if (below(3) == 0) return fmt::format("to_i64({})", expression(F64, depth)); break;
      case U64: if (below(3) == 0) return fmt::format("to_u64({})", expression(F32, depth)); break;
      case I16: if (below(3) == 0) return fmt::format("to_i16({})", expression(F16, depth)); break;
      default: break;
    }
    return fmt::format("({}){}", names[type], expression(pick({U8, I8, U16, I16, U32, I32, U64, I64}), depth));
  }

  Type pick(std::initializer_list<Type> types) { return types.begin()[below(u32(types.size()))]; }

  std::string expression(Type type, u32 depth) {
    if (depth == 0 || below(5) == 0) return leaf(type);
    --depth;
    switch (below(8)) {
      case 0: return fmt::format("({})", conversion(type, depth));
      case 1:
        if (!is_vector(type))
          return fmt::format("({} ? {} : {})", condition(depth), expression(type, depth), expression(type, depth));
        break;
      case 2: return special(type, depth);
      default: break;
    }
    return binary(type, depth);
  }

  std::string binary(Type type, u32 depth) {
    const std::string a = expression(type, depth), b = expression(type, depth);
    if (is_float(type)) {
      if (type != F16 && below(8) == 0) return fmt::format("({} / {})", a, b);
      // LLVM 19 makes (x - x) - y into the source modifier -y, which for y = 0 has the other sign (isa/ERRATA.md).
      const std::string op = one_of("+", "-", "*");
      return fmt::format("({})({} {} {})", names[type], a, op == "-" && a == b ? "+" : op, b);
    }
    if (type == V2F) return fmt::format("({} {} {})", a, one_of("+", "-", "*"), b);
    if (is_vector(type)) {
      if (below(4) == 0) return fmt::format("({} {} ({} & (u16)15))", a, one_of("<<", ">>"), b);
      return fmt::format("({} {} {})", a, one_of("+", "-", "*", "&", "|", "^"), b);
    }
    if (below(4) == 0) {
      const bool wide = type == U64 || type == I64;
      return fmt::format("({})({} {} ({} & {}))", names[type], a, one_of("<<", ">>"), expression(U32, depth),
                         wide ? 63 : type >= U32 ? 31 : type >= U16 ? 15 : 7);
    }
    const std::string op = one_of("+", "-", "*", "&", "|", "^");
    if (type < U16 && op == "|") return fmt::format("({})or_8({}, {})", names[type], a, b);
    return fmt::format("({})({} {} {})", names[type], a, op, b);
  }

  std::string special(Type type, u32 depth) {
    const auto e = [&](Type t) { return expression(t, depth); };
    switch (type) {
      case F32:
        switch (below(6)) {
          case 5: return fmt::format("middle({}, {}, {})", e(F32), e(F32), e(F32));
          case 4: return fmt::format("__builtin_ldexpf({}, ({} & 63) - 32)", e(F32), e(I32));
          case 0: return fmt::format("__builtin_fmaf({}, {}, {})", e(F32), e(F32), e(F32));
          case 1: return fmt::format("__builtin_sqrtf(__builtin_fabsf({}))", e(F32));
          case 2:
            if (uniform_only_) return fmt::format("(-{})", e(F32));
            return fmt::format("horner({}, {}, {})", e(F32), e(F32), e(F32));
          default: return fmt::format("__builtin_{}f({})", one_of("fabs", "floor", "ceil", "trunc", "rint"), e(F32));
        }
      case F64:
        return below(2) ? fmt::format("__builtin_fma({}, {}, {})", e(F64), e(F64), e(F64))
                        : fmt::format("__builtin_{}({})", one_of("fabs", "floor", "ceil", "trunc"), e(F64));
      case F16: return fmt::format("(f16)(-{})", e(F16));
      case V2F: return fmt::format("(-{})", e(V2F));
      case I32:
        if (below(2)) return fmt::format("{}_i32({}, {})", one_of("div", "rem"), e(I32), e(I32));
        return fmt::format("__builtin_elementwise_{}({}, {})", one_of("min", "max", "add_sat", "sub_sat"), e(I32), e(I32));
      case U32:
        if (!uniform_only_ && below(2)) {
          const char* name = one_of("perm", "alignbit", "alignbyte", "ubfe", "sbfe", "sad_u8", "msad_u8", "sad_u16",
                                    "sad_hi_u8", "lerp", "udot4", "udot8", "sudot4", "ssdot8");
          return fmt::format("{}({}, {}, {})", name, e(U32), e(U32), e(U32));
        }
        switch (below(9)) {
          case 6: return fmt::format("__builtin_elementwise_{}({}, {})", one_of("min", "max", "add_sat", "sub_sat"),
                                     e(U32), e(U32));
          case 7: return fmt::format("__builtin_{}32({})", one_of("bitreverse", "bswap"), e(U32));
          case 8: return fmt::format("__builtin_rotate{}32({}, {})", one_of("left", "right"), e(U32), e(U32));
          case 0: return fmt::format("{}_u32({}, {})", one_of("div", "rem"), e(U32), e(U32));
          case 1: return fmt::format("(u32)__builtin_popcount({})", e(U32));
          case 2: return fmt::format("(u32)__builtin_{}({} | 1u)", one_of("clz", "ctz"), e(U32));
          case 3: return fmt::format("__builtin_bswap32({})", e(U32));
          case 4: return uniform_only_ ? leaf(U32) : fmt::format("s->t[{} & 7]", e(U32));
          default: return uniform_only_ ? leaf(U32) : fmt::format("pick(s->t, {})", e(U32));
        }
      case U64:
        switch (below(4)) {
          case 0: return fmt::format("{}_u64({}, {})", one_of("div", "rem"), e(U64), e(U64));
          case 1: return fmt::format("mix({}, {})", e(U64), e(U32));
          case 2: return fmt::format("((u64){} * {})", e(U32), e(U32));
          default: return fmt::format("(u64)__builtin_{}ll({} | 1ull)", one_of("clz", "ctz", "popcount"), e(U64));
        }
      case I64:
        if (below(2)) return fmt::format("div_i64({}, {})", e(I64), e(I64));
        return fmt::format("((i64){} * {})", e(I32), e(I32));
      case V2I: case V2U:
        return fmt::format("__builtin_elementwise_{}({}, {})", one_of("min", "max", "add_sat", "sub_sat"), e(type),
                           e(type));
      default: return fmt::format("({})~{}", names[type], e(type));
    }
  }

  void line(u32 indent, const std::string& text) { out_ += std::string(indent * 2, ' ') + text + "\n"; }

  void statements(u32 count, u32 depth) {
    for (u32 i = 0; i < count; ++i) statement(depth);
  }

  void assign() {
    const Variable v = variable();
    line(indent_, fmt::format("s->{} = {};", v.name, expression(v.type, 3)));
  }

  void block(u32 depth) {
    ++indent_;
    statements(1 + below(3), depth);
    --indent_;
  }

  void statement(u32 depth) {
    switch (depth ? below(10) : 9) {
      case 0: case 1:
        line(indent_, fmt::format("if ({}) {{", condition(1)));
        block(depth - 1);
        if (below(2)) {
          line(indent_, "} else {");
          block(depth - 1);
        }
        line(indent_, "}");
        return;
      case 2: case 3: {
        const std::string i = fmt::format("n{}", loops_++);
        line(indent_, fmt::format("for (u32 {0} = 0; {0} < ({1} & {2}); ++{0}) {{", i, expression(U32, 1),
                                  3 + 4 * below(2)));
        block(depth - 1);
        if (below(2)) line(indent_ + 1, fmt::format("if ({}) {};", condition(1), one_of("break", "continue")));
        if (!uniform_only_ && below(2)) line(indent_ + 1, fmt::format("s->t[{} & 7] += {};", i, expression(U32, 2)));
        line(indent_, "}");
        return;
      }
      case 4:
        line(indent_, fmt::format("switch ({} & 3) {{", expression(U32, 1)));
        for (u32 i = 0; i < 3; ++i) {
          line(indent_, fmt::format("case {}:", i));
          block(depth - 1);
          if (below(3)) line(indent_ + 1, "break;");
        }
        line(indent_, "default: break;");
        line(indent_, "}");
        return;
      case 5:
        if (uniform_only_) break;
        line(indent_, below(2) ? fmt::format("s->t[{} & 7] = {};", expression(U32, 1), expression(U32, 2))
                               : fmt::format("turn(s->t, {});", expression(U32, 1)));
        return;
      default: break;
    }
    assign();
  }

  void read_inputs() {
    static constexpr const char* text = R"(  const u32* w = in + (s->group * GROUP_LANES + s->lane) * INPUT_WORDS;
  union { u32 u; f32 f; } v;
  s->a0 = (u8)w[0]; s->a1 = (i8)w[1]; s->b0 = (u16)w[2]; s->b1 = (i16)w[3];
  s->c0 = w[4]; s->c1 = w[5]; s->c2 = w[6] & 31; s->e0 = (i32)w[7]; s->e1 = (i32)w[8]; s->e2 = (i32)w[9] >> 20;
  s->g0 = w[10] | (u64)w[11] << 32; s->g1 = w[12]; s->k0 = (i64)(w[13] | (u64)w[14] << 32); s->k1 = (i32)w[15];
  v.u = w[16]; s->x0 = v.f; s->x1 = (f32)(i32)w[17] * 0x1p-20f; s->x2 = (f32)(w[18] & 255);
  s->y0 = (f64)(i32)w[19] * 0x1p-12; s->y1 = (f64)s->x0;
  s->z0 = (f16)((f32)(i32)w[20] * 0x1p-27f); s->z1 = (f16)(f32)(w[21] & 31);
  s->p0 = (v2i16){(i16)w[22], (i16)(w[22] >> 16)}; s->p1 = (v2u16){(u16)w[23], (u16)(w[23] >> 16)};
  s->q0 = (v2f16){(f16)(f32)(i8)w[20], (f16)((f32)(i16)w[21] * 0x1p-9f)}; s->q1 = (v2f16){(f16)(f32)(u8)w[9], s->z0};
  for (u32 i = 0; i < 8; ++i) s->t[i] = w[i];
  s->s0 = uni[0]; s->s1 = (i32)uni[1]; s->s2 = uni[2] | (u64)uni[3] << 32; s->s3 = (f32)(i32)uni[4] * 0x1p-16f;
)";
    out_ += text;
  }

  // Lanes with lanes: exchange.h.
  std::string exchange() {
    switch (below(12)) {
      case 0: case 1: {
        static constexpr u32 kinds[] = {0x101, 0x111, 0x121, 0x140, 0x150, 0x160};
        const u32 kind = below(7);
        const u32 control = kind == 6 ? below(256) : kinds[kind] + below(kind < 3 ? 15 : kind == 3 ? 2 : 16);
        return fmt::format("x_dpp, {:#x}, {}, {}, {}", control, below(2) ? 15 : below(16), below(2) ? 15 : below(16),
                           below(2));
      }
      case 2: return fmt::format("x_dpp8, {:#x}", u32(next()) & 0xffffff);
      case 3: return fmt::format("x_permlane, {:#x}u, {:#x}u", u32(next()), u32(next()));
      case 4: return fmt::format("x_permlanex, {:#x}u, {:#x}u", u32(next()), u32(next()));
      case 5: return fmt::format("x_swizzle, {:#x}", below(2) ? 0x8000 + below(256) : below(0x8000));
      case 6: return fmt::format("x_bpermute, {}, {}", below(64), below(64));
      case 7: return fmt::format("x_permute, {}, {}", 2 * below(32) + 1, below(64));
      case 8: return fmt::format("x_readlane, {}", below(64));
      case 9: return fmt::format("x_ballot, {}", below(32));
      case 10: return fmt::format("x_wmma_iu8, {}, {}", below(2), below(2));
      default: return "x_wmma_f16, 0";
    }
  }

  // Each lane writes its own slots, all of them.
  void write_lds() {
    for (u32 i = 0; i < 4; ++i) line(1, fmt::format("l->w[s->lane * 4 + {}] = {};", i, expression(U32, 2)));
    line(1, fmt::format("l->d[s->lane] = {};", expression(U64, 2)));
    for (u32 i = 0; i < 2; ++i) line(1, fmt::format("l->h[s->lane + {}] = {};", i * 64, expression(U16, 2)));
    for (u32 i = 0; i < 4; ++i) line(1, fmt::format("l->b[s->lane + {}] = {};", i * 64, expression(U8, 2)));
    line(1, fmt::format("if ({}) __atomic_fetch_{}(&l->a[{} & 1], {}, __ATOMIC_RELAXED);", condition(1),
                        one_of("add", "sub"), expression(U32, 1), expression(U32, 1)));
    line(1, fmt::format("__atomic_fetch_max(&l->a[2], {}, __ATOMIC_RELAXED);", expression(U32, 1)));
    line(1, fmt::format("__atomic_fetch_min((LDS i32*)&l->a[3], {}, __ATOMIC_RELAXED);", expression(I32, 1)));
    line(1, fmt::format("__atomic_fetch_add((LDS u64*)&l->a[4], {}, __ATOMIC_RELAXED);", expression(U64, 1)));
  }

  void read_lds() {
    line(1, fmt::format("s->c0 = l->w[{} & 255];", expression(U32, 2)));
    line(1, fmt::format("s->c2 ^= l->a[{} & 3]; s->g1 += *(LDS u64*)&l->a[4];", expression(U32, 1)));
    line(1, fmt::format("s->e0 += (i32)l->w[({} + s->lane * 4) & 255];", expression(U32, 1)));
    line(1, fmt::format("s->g0 ^= l->d[{} & 63];", expression(U32, 2)));
    line(1, fmt::format("s->b0 = l->h[{} & 127];", expression(U32, 2)));
    line(1, fmt::format("s->b1 = (i16)l->h[(s->lane + 3) & 127];"));
    line(1, fmt::format("s->a0 = l->b[{} & 255];", expression(U32, 2)));
    line(1, fmt::format("s->a1 = (i8)l->b[(s->lane * 5) & 255];"));
  }

  void write_outputs() {
    line(1, fmt::format("__atomic_fetch_add(&sum[0], {}, __ATOMIC_RELAXED);", expression(U32, 1)));
    line(1, fmt::format("__atomic_fetch_xor(&sum[1], {}, __ATOMIC_RELAXED);", expression(U32, 1)));
    line(1, fmt::format("__atomic_fetch_{}((u64*)&sum[4], {}, __ATOMIC_RELAXED);", one_of("add", "xor"),
                        expression(U64, 1)));
    line(1, fmt::format("atomic_{}((i32*)&sum[6], {});", one_of("min", "max"), expression(I32, 1)));
    line(1, fmt::format("if ({}) __atomic_fetch_or(&sum[2], {}, __ATOMIC_RELAXED);", condition(1), expression(U32, 1)));
    static constexpr const char* text = R"(  u32* o = out + (s->group * GROUP_LANES + s->lane) * OUTPUT_WORDS;
  o[0] = s->a0; o[1] = (u32)s->a1; o[2] = s->b0; o[3] = (u32)s->b1; o[4] = s->c0; o[5] = s->c1; o[6] = s->c2;
  o[7] = (u32)s->e0; o[8] = (u32)s->e1; o[9] = (u32)s->e2;
  o[10] = (u32)s->g0; o[11] = (u32)(s->g0 >> 32); o[12] = (u32)s->g1; o[13] = (u32)(s->g1 >> 32);
  o[14] = (u32)s->k0; o[15] = (u32)(s->k0 >> 32); o[16] = (u32)s->k1; o[17] = (u32)(s->k1 >> 32);
  o[18] = bits32(s->x0); o[19] = bits32(s->x1); o[20] = bits32(s->x2);
  o[21] = (u32)bits64(s->y0); o[22] = (u32)(bits64(s->y0) >> 32);
  o[23] = (u32)bits64(s->y1); o[24] = (u32)(bits64(s->y1) >> 32);
  o[25] = bits16(s->z0); o[26] = bits16(s->z1); o[27] = pair_i(s->p0); o[28] = pair_u(s->p1);
  for (u32 i = 0; i < 8; ++i) o[29 + i] = s->t[i];
  o[37] = s->s0; o[38] = (u32)s->s1; o[39] = (u32)s->s2; o[40] = (u32)(s->s2 >> 32); o[41] = bits32(s->s3);
  o[42] = bits16(s->q0.x) | bits16(s->q0.y) << 16; o[43] = bits16(s->q1.x) | bits16(s->q1.y) << 16;
)";
    out_ += text;
  }

  u64 state_;
  std::string out_;
  bool uniform_only_ = false;
  u32 indent_ = 1, loops_ = 0;
};

}  // namespace

Program generate(u64 seed, const std::string& name) { return Writer(seed).write(seed, name); }

std::string unit_for_gpu(const std::vector<Program>& programs) {
  std::string unit;
  unit += "extern LDS Shared lds[];\n";
  for (const Program& program : programs) {
    unit += program.source;
    unit += fmt::format("__attribute__((amdgpu_kernel)) void {}(const u32* in, const u32* uni, u32* out, u32* sum) "
                        "{{\n", program.name);
    unit += "  State state = {0};\n  state.lane = __builtin_amdgcn_workitem_id_x();\n"
            "  state.group = __builtin_amdgcn_workgroup_id_x();\n";
    if (program.phases > 1)
      unit += "  if (state.lane < 8) lds->a[state.lane] = 0;\n"
              "  __builtin_amdgcn_fence(__ATOMIC_RELEASE, \"workgroup\");\n  __builtin_amdgcn_s_barrier();\n"
              "  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, \"workgroup\");\n";
    for (u32 phase = 0; phase < program.phases; ++phase) {
      if (phase) {
        const std::string& exchange = program.exchanges[phase - 1];
        const std::size_t comma = exchange.find(',');
        unit += fmt::format("  {}(&state{});\n", exchange.substr(0, comma), exchange.substr(comma));
        unit += "  __builtin_amdgcn_fence(__ATOMIC_RELEASE, \"workgroup\");\n  __builtin_amdgcn_s_barrier();\n"
                "  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, \"workgroup\");\n";
      }
      unit += fmt::format("  {}_phase{}(&state, lds, in, uni, out, sum);\n", program.name, phase);
    }
    unit += "}\n";
  }
  return unit;
}

std::string unit_for_host(const std::vector<Program>& programs) {
  std::string unit;
  for (const Program& program : programs) {
    unit += program.source;
    unit += fmt::format("void {}_group(u32 group, const u32* in, const u32* uni, u32* out, u32* sum) {{\n"
                        "  static State states[GROUP_LANES];\n  static Shared shared;\n"
                        "  for (u32 i = 0; i < GROUP_LANES; ++i) states[i] = (State){{.lane = i, .group = group}};\n",
                        program.name);
    unit += "  for (u32 i = 0; i < 8; ++i) shared.a[i] = 0;\n";
    for (u32 phase = 0; phase < program.phases; ++phase) {
      if (phase) {
        const std::string& exchange = program.exchanges[phase - 1];
        const std::size_t comma = exchange.find(',');
        unit += fmt::format("  {}(states{});\n", exchange.substr(0, comma), exchange.substr(comma));
      }
      unit += fmt::format("  for (u32 i = 0; i < GROUP_LANES; ++i)\n"
                          "    {}_phase{}(&states[i], &shared, in, uni, out, sum);\n", program.name, phase);
    }
    unit += "}\n";
  }
  return unit;
}

}  // namespace amlm::isa::differential
