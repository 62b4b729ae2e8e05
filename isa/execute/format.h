// The buffer formats of gfx11 (FORMAT of MTBUF and of descriptors) and the conversions between memory and registers.
// Numbers and names: llvm-mc's BUF_FMT_*. Bit order, conversions and stores: rocjitsu's buffer_format.cpp, which
// AMD runs Vulkan's conformance tests on; ERRATA.md, buffer-formats, says what the guide leaves open.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "isa/base.h"

namespace amlm::isa {

enum class Number : u8 { unorm, snorm, uscaled, sscaled, uint, sint, floating };

struct BufferFormat {
  std::array<u8, 4> bits{};   // of X, Y, Z, W, from the lowest bit up; the format's name lists packed ones from the top
  Number number{};
  u32 bytes() const { return (bits[0] + bits[1] + bits[2] + bits[3]) / 8u; }
  bool integer() const { return number == Number::uint || number == Number::sint; }
};

// nullopt: INVALID (0) and numbers that are no format.
std::optional<BufferFormat> buffer_format(u32 number);

// DST_SEL: three bits for each register component: 0, 1, or 4-7 for X, Y, Z, W of memory.
inline constexpr u32 select_identity = 4 | 5 << 3 | 6 << 6 | 7 << 9;

// Components as 32-bit registers hold them: f32 bits, or integers. `from` null: out of range, channels are 0.
std::array<u32, 4> unpack_components(const BufferFormat& format, u32 select, const u8* from);
// What of memory no component selects is 0; a selected component that the instruction does not give is X.
void pack_components(const BufferFormat& format, u32 select, std::span<const u32> components, u8* to);

// D16: between 32- and 16-bit components.
u16 narrowed_component(const BufferFormat& format, u32 value);
u32 widened_component(const BufferFormat& format, u16 value);

}  // namespace amlm::isa
