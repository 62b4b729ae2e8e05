#include "tests/kernels/prefill_support.h"

#include <catch2/catch.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "isa/tables.h"
#include "tests/reference/dequantize.h"

namespace amlm::test {

namespace {

using kernels::WeightType;

template <class T>
T read(std::span<const u8> bytes, u64 offset) {
  T value;
  REQUIRE(offset + sizeof(T) <= bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// ELF64: program headers at e_phoff (0x20), e_phnum at 0x38; sections at e_shoff (0x28), e_shnum at 0x3c.
std::vector<u8> load_segments(std::span<const u8> elf) {
  std::vector<u8> image;
  const u64 headers = read<u64>(elf, 0x20);
  for (u32 i = 0; i < read<u16>(elf, 0x38); ++i) {
    const u64 header = headers + i * 56;
    if (read<u32>(elf, header) != 1) continue;             // PT_LOAD
    const u64 offset = read<u64>(elf, header + 8), va = read<u64>(elf, header + 16);
    const u64 file_bytes = read<u64>(elf, header + 32), memory_bytes = read<u64>(elf, header + 40);
    image.resize(std::max<u64>(image.size(), va + memory_bytes));
    std::memcpy(image.data() + va, elf.data() + offset, file_bytes);
  }
  return image;
}

std::vector<std::pair<std::string, u64>> load_symbols(std::span<const u8> elf) {
  std::vector<std::pair<std::string, u64>> out;
  const u64 sections = read<u64>(elf, 0x28);
  for (u32 i = 0; i < read<u16>(elf, 0x3c); ++i) {
    const u64 section = sections + i * 64;
    if (read<u32>(elf, section + 4) != 2) continue;        // SHT_SYMTAB
    const u64 offset = read<u64>(elf, section + 24), size_bytes = read<u64>(elf, section + 32);
    const u64 names = read<u64>(elf, sections + read<u32>(elf, section + 40) * 64 + 24);
    for (u64 at = offset; at < offset + size_bytes; at += 24) {
      const char* name = reinterpret_cast<const char*>(elf.data()) + names + read<u32>(elf, at);
      out.emplace_back(name, read<u64>(elf, at + 8));
    }
  }
  return out;
}

f32 f16_rounded(f64 value) { return reference::f16_to_f32(reference::f32_to_f16(static_cast<f32>(value))); }

// bf16 as gemm_bf16 holds it: towards zero, at most 65504.
f32 f16_truncated(f32 value) {
  const f32 magnitude = std::fabs(value);
  if (magnitude >= 65504) return std::copysign(65504.0f, value);
  const int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
  return std::copysign(std::ldexp(std::floor(std::ldexp(magnitude, 10 - exponent)), exponent - 10), value);
}

// One random block in GGUF's layout. Scales are such that weights are of the order of 1.
void random_block(std::mt19937_64& random, WeightType type, u8* block) {
  const u32 bytes = reference::block_bytes(type);
  for (u32 i = 0; i < bytes; ++i) block[i] = static_cast<u8>(random());
  const auto put = [&](u32 offset, f32 limit) {
    const f32 value = limit * (0.25f + 0.75f * static_cast<f32>(random() % 1024) / 1024);
    const u16 bits = reference::f32_to_f16(random() % 8 ? value : -value);
    std::memcpy(block + offset, &bits, 2);
  };
  switch (type) {
    case WeightType::f32: {
      const f32 value = static_cast<f32>(static_cast<i32>(random() >> 40) - (1 << 23)) * 0x1p-23f;
      std::memcpy(block, &value, 4);
      break;
    }
    case WeightType::f16: put(0, 1); break;
    case WeightType::bf16: block[1] = static_cast<u8>(0x38 | (block[1] & 0x87)); break;   // 2^-15 to 2
    case WeightType::q8_0: put(0, 1.0f / 128); break;
    case WeightType::q4_0: put(0, 1.0f / 8); break;
    case WeightType::q4_k: put(0, 1.0f / 512); put(2, 1.0f / 64); break;
    case WeightType::q6_k: put(208, 1.0f / 4096); break;
  }
}

struct Part { u32 offset, bytes; };
std::vector<Part> parts(WeightType type) {
  switch (type) {
    case WeightType::q8_0: return {{2, 32}, {0, 2}};
    case WeightType::q4_0: return {{2, 16}, {0, 2}};
    case WeightType::q6_k: return {{0, 128}, {128, 64}, {192, 16}, {208, 2}};
    default: return {{0, reference::block_bytes(type)}};
  }
}

// gemm_q4_k's addend is off by a rounding of 1024 * scale + minimum.
f64 addend_slack(const u8* block) {
  const f64 d = std::fabs(reference::f16_to_f32(static_cast<u16>(block[0] | block[1] << 8)));
  const f64 dmin = std::fabs(reference::f16_to_f32(static_cast<u16>(block[2] | block[3] << 8)));
  return (1024 + 16) * d * 63 * 0x1p-24 + dmin * 63 * 0x1p-22;
}

}  // namespace

Machine::Machine() {
  const std::span<const u8> elf = kernels::code_object();
  image_ = load_segments(elf);
  symbols_ = load_symbols(elf);
  clear();
}

void Machine::clear() {
  space_ = {};
  shadows_.clear();
  executor_.forget();
  space_.insert({.va = 0x10000000, .size_bytes = image_.size(), .host = image_.data(),
                 .access = isa::access_read | isa::access_execute, .label = "code"});
  next_va_ = 0x7f0000000000;                               // offsets must not fit 32 bits by luck
}

u64 Machine::map_bytes(u8* host, u64 size_bytes, u8 access, std::string label) {
  const u64 va = next_va_;
  next_va_ += (size_bytes + 0x1ffff) / 0x10000 * 0x10000;  // a hole behind every mapping
  auto& shadow = shadows_.emplace_back(va, std::vector<isa::ShadowDword>((size_bytes + 3) / 4)).second;
  space_.insert({.va = va, .size_bytes = size_bytes, .host = host, .shadow = shadow.data(), .access = access,
                 .label = std::move(label)});
  return va;
}

u32 Machine::symbol(const std::string& name) const {
  const auto found = std::find_if(symbols_.begin(), symbols_.end(), [&](const auto& s) { return s.first == name; });
  INFO("symbol " << name);
  REQUIRE(found != symbols_.end());
  return static_cast<u32>(found->second);
}

isa::RunReport Machine::run_bytes(const std::string& kernel, std::vector<u8>& args, std::array<u32, 3> groups,
                                  u64 seed) {
  const u32 descriptor = symbol(kernel + ".kd");
  const u32 lds_bytes = read<u32>(image_, descriptor);
  REQUIRE(read<u32>(image_, descriptor + 8) == args.size());
  for (auto& [va, shadow] : shadows_) std::fill(shadow.begin(), shadow.end(), isa::ShadowDword{});
  const u64 kernarg = 0x20000000;
  space_.insert({.va = kernarg, .size_bytes = args.size(), .host = args.data(), .access = isa::access_read,
                 .label = "kernarg"});
  isa::Dispatch dispatch{
      .code_va = 0x10000000 + symbol(kernel),
      .groups = groups,
      .group_lanes = {symbol(kernel + ".group_lanes"), 1, 1},
      .rsrc1 = read<u32>(image_, descriptor + 48),
      .rsrc2 = read<u32>(image_, descriptor + 52) | (lds_bytes + 511) / 512 << 15,
      .rsrc3 = read<u32>(image_, descriptor + 44),
      .label = kernel,
  };
  dispatch.user_data[0] = static_cast<u32>(kernarg);
  const isa::RunReport report = executor_.run(dispatch, space_, {}, {.mode = isa::Mode::strict, .seed = seed});
  space_.erase(kernarg);
  if (mutated_) return report;
  INFO("AMLM_TEST_SEED=" << test_seed() << ", order seed " << seed << ": "
                         << (report.fault ? report.fault->sentence : std::string()));
  REQUIRE_FALSE(report.fault.has_value());
  return report;
}

void Machine::check_mutants(const std::string& kernel, const std::function<isa::RunReport()>& runs) {
  constexpr u32 s_nop = 0xbf800000;
  std::vector<u32> words(image_.size() / 4);
  std::memcpy(words.data(), image_.data(), words.size() * 4);
  u32 mutants = 0;
  for (u64 at = symbol(kernel) / 4; at < words.size();) {
    const auto instruction = isa::decode(std::span(words).subspan(at));
    REQUIRE(instruction);
    if (instruction->opcode == isa::Opcode::s_endpgm) break;
    if (instruction->opcode == isa::Opcode::s_waitcnt || instruction->opcode == isa::Opcode::s_barrier) {
      std::memcpy(image_.data() + at * 4, &s_nop, 4);
      executor_.forget();
      mutated_ = true;
      const isa::RunReport report = runs();
      mutated_ = false;
      std::memcpy(image_.data() + at * 4, &words[at], 4);
      executor_.forget();
      INFO(kernel << " without " << isa::print(*instruction) << " at +" << at * 4 - symbol(kernel));
      CHECK(report.fault.has_value());
      ++mutants;
    }
    at += instruction->size_dw;
  }
  CHECK(mutants > 0);
  std::printf("%s: %u mutants\n", kernel.c_str(), mutants);
}

u64 test_seed() {
  const char* text = std::getenv("AMLM_TEST_SEED");
  return text ? std::strtoull(text, nullptr, 0) : 1;
}

std::vector<f32> random_values(std::mt19937_64& random, u64 count, Spread spread) {
  std::vector<f32> out(count);
  for (f32& value : out) {
    value = static_cast<f32>(static_cast<i32>(random() >> 40) - (1 << 23)) * 0x1p-23f;
    if (spread == Spread::outliers && random() % 64 == 0) value *= 100;
  }
  return out;
}

std::vector<u16> to_f16(const std::vector<f32>& values) {
  std::vector<u16> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(), reference::f32_to_f16);
  return out;
}

Weights random_weights(std::mt19937_64& random, WeightType type, u32 rows, u32 columns) {
  const u32 bytes = reference::block_bytes(type), elements = reference::block_elements(type);
  const u64 blocks = static_cast<u64>(rows) * columns / elements;
  std::vector<u8> file(blocks * bytes);
  for (u64 b = 0; b < blocks; ++b) random_block(random, type, file.data() + b * bytes);
  Weights out;
  const std::vector<Part> layout = parts(type);
  for (u64 b = 0; b < blocks; ++b) {
    for (size_t p = 0; p < layout.size(); ++p) {
      const u8* source = file.data() + b * bytes + layout[p].offset;
      out.planes[p].insert(out.planes[p].end(), source, source + layout[p].bytes);
    }
  }
  if (type == WeightType::q8_0) for (u8& quant : out.planes[0]) quant ^= 0x80;
  const std::vector<f32> exact = reference::dequantize(type, file);
  for (u64 i = 0; i < exact.size(); ++i) {
    const f64 slack = type == WeightType::q4_k ? addend_slack(file.data() + i / 256 * bytes) : 0;
    const bool truncated = type == WeightType::bf16;
    out.low.push_back(truncated ? f16_truncated(exact[i]) : f16_rounded(exact[i] - slack));
    out.high.push_back(truncated ? f16_truncated(exact[i]) : f16_rounded(exact[i] + slack));
  }
  return out;
}

}  // namespace amlm::test
