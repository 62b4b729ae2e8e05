// Runs one kernel on the strict executor over memory whose mappings end with the data: reading or writing one byte
// too far is a fault. Shared by the tests of the prefill kernels.
#pragma once

#include <array>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "isa/run.h"
#include "kernels/kernels.h"

namespace amlm::test {

inline constexpr u8 readable = isa::access_read, writable = isa::access_read | isa::access_write;

class Machine {
 public:
  Machine();

  // Maps `data` for the life of the machine or until `clear`; the GPU works on the vector itself.
  template <class T>
  u64 map(std::vector<T>& data, u8 access, std::string label) {
    return map_bytes(reinterpret_cast<u8*>(data.data()), data.size() * sizeof(T), access, std::move(label));
  }
  void clear();

  // One dispatch. A fault fails the test with its sentence, but inside check_mutants.
  template <class Args>
  isa::RunReport run(const std::string& kernel, Args args, std::array<u32, 3> groups, u64 seed) {
    std::vector<u8> bytes(reinterpret_cast<u8*>(&args), reinterpret_cast<u8*>(&args + 1));
    return run_bytes(kernel, bytes, groups, seed);
  }

  // Leaves out each s_waitcnt and each s_barrier of the kernel in turn; `runs` must then end in a fault. Prints how
  // many.
  void check_mutants(const std::string& kernel, const std::function<isa::RunReport()>& runs);

  // The value of a symbol of the code object; fails the test when there is none.
  u32 symbol(const std::string& name) const;

 private:
  u64 map_bytes(u8* host, u64 size_bytes, u8 access, std::string label);
  isa::RunReport run_bytes(const std::string& kernel, std::vector<u8>& args, std::array<u32, 3> groups, u64 seed);

  std::vector<u8> image_;                                  // the code object as loaded
  std::vector<std::pair<std::string, u64>> symbols_;
  std::vector<std::pair<u64, std::vector<isa::ShadowDword>>> shadows_;
  u64 next_va_ = 0;
  isa::AddressSpace space_;
  isa::Executor executor_;
  bool mutated_ = false;
};

// The seed of this run: AMLM_TEST_SEED or 1. Printed with every failure.
u64 test_seed();

// Uniform in [-1, 1), with one value in 64 a hundred times larger when `outliers`: uniform data hides too much.
enum class Spread : u8 { even, outliers };
std::vector<f32> random_values(std::mt19937_64& random, u64 count, Spread spread);
std::vector<u16> to_f16(const std::vector<f32>& values);

// A weight matrix of a type: random GGUF blocks, as planes, and what each weight is worth as a kernel should hold it
// in f16 (low = high, but for q4_k, where a tie may fall to either side).
struct Weights {
  std::array<std::vector<u8>, 4> planes;
  std::vector<f32> low, high;                              // [rows][columns]
};
Weights random_weights(std::mt19937_64& random, kernels::WeightType type, u32 rows, u32 columns);

}  // namespace amlm::test
