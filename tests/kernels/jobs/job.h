// One kernel, its arguments and buffers, and what must come out: for any device. tests/kernels/run_job runs it on the
// executor; a device's runner puts the regions into buffers, the pointers into the arguments, and hands back the
// bytes.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "driver/base.h"

namespace amlm::test {

enum class Use : u8 { input, output, both };      // what the kernel may do with a region
enum class Element : u8 { bytes, f16, f32 };      // how far off a result may be: not at all, or a little

struct Region {
  std::string label;
  std::vector<u8> bytes;                          // an output starts as a canary pattern
  Use use = Use::input;
  Element element = Element::bytes;
};

template <class T> inline constexpr Element element_of = Element::bytes;
template <> inline constexpr Element element_of<f32> = Element::f32;
template <> inline constexpr Element element_of<u16> = Element::f16;

struct Job {
  struct Pointer { u32 arg_offset = 0; u32 region = 0; u64 offset = 0; };

  std::string kernel, shape;                      // shape: for messages
  std::array<u32, 3> groups{1, 1, 1};
  std::vector<u8> args;
  std::vector<Region> regions;
  std::vector<Pointer> pointers;
  // "" when the regions after the run are right, else what is wrong. Inputs are compared by the runner.
  std::function<std::string(const std::vector<std::vector<u8>>& after)> verify;

  // A region and the argument that points to it.
  template <class Args, class T>
  u32 add(const Args& args_of, const u64& argument, std::string label, const std::vector<T>& data, Use use,
          u64 offset = 0) {
    const u32 region = static_cast<u32>(regions.size());
    std::vector<u8> bytes(data.size() * sizeof(T));
    std::memcpy(bytes.data(), data.data(), bytes.size());
    regions.push_back({std::move(label), std::move(bytes), use, element_of<T>});
    point(args_of, argument, region, offset);
    return region;
  }
  template <class Args>
  void point(const Args& args_of, const u64& argument, u32 region, u64 offset) {
    const auto at = reinterpret_cast<const u8*>(&argument) - reinterpret_cast<const u8*>(&args_of);
    pointers.push_back({static_cast<u32>(at), region, offset});
  }
  template <class Args>
  void finish(const Args& args_of) {
    args.resize(sizeof(Args));
    std::memcpy(args.data(), &args_of, sizeof(Args));
  }
};

template <class T>
std::vector<T> as(const std::vector<u8>& bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(T));
  return out;
}

// Bytes that no kernel writes by accident: NaN as f32 and as f16.
template <class T>
std::vector<T> canary(u64 count) {
  std::vector<T> out(count);
  std::memset(out.data(), 0xff, count * sizeof(T));
  return out;
}

}  // namespace amlm::test
