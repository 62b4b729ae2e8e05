// One wave with registers to fill and instructions to run one at a time, for the ALU's tests.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>

#include "isa/execute/group.h"
#include "isa/execute/program.h"
#include "isa/execute/wmma_factors.h"
#include "isa/tables.h"
#include "tests/isa/machine.h"

namespace amlm::isa::test {

class Bench {
 public:
  static constexpr u32 registers = 64;

  explicit Bench(u32 wave_lanes = 32) {
    for (int h = 0; h < 2; h++) {
      storage_[h] = std::make_unique<Storage>();
      wave.vgpr_base[h] = storage_[h]->lanes;
    }
    dispatch_.label = "bench";
    group_.dispatch = &dispatch_;
    wave.group = &group_;
    wave.counters = &counters_;
    wave.wmma_factors = factors_.get();
    wave.lanes = wave_lanes;
    wave.vgpr_count = registers;
    wave.mode = 0x3f0;   // as clang sets it: denormals kept, IEEE, DX10_CLAMP
    wave.sgpr[code_exec_lo] = ~0u;
    wave.sgpr[code_exec_hi] = wave_lanes == 64 ? ~0u : 0;
  }

  // Runs assembly, straight line, both halves where the hardware would.
  void run(const std::string& assembly) {
    std::vector<u32>& words = assembled_[assembly];   // llvm-mc is a process: once for each text
    if (words.empty()) words = assemble(assembly, wave.lanes == 64);
    u32 at = 0;
    while (at < words.size()) {
      u32 window[3] = {};
      for (u32 i = 0; i < 3 && at + i < words.size(); i++) window[i] = words[at + i];
      at += run_words(window);
    }
  }

  // Decodes and runs one instruction; its size in dwords.
  u32 run_words(std::span<const u32> words) {
    DecodeError error;
    const auto in = decode(words, &error);
    if (!in) {
      std::fprintf(stderr, "does not decode: %s\n", error.sentence.c_str());
      std::abort();
    }
    Step step;
    step.in = *in;
    bind(step);
    if (handler_for(*in) == nullptr) {
      unknown = std::string(info(in->opcode).name);
      return in->size_dw;
    }
    wave.step = &step;
    const u32 halves = step.vector && wave.lanes == 64 && !step.whole_wave ? 2 : 1;
    for (wave.half = 0; wave.half < halves; wave.half++) step.handler(wave, step);
    wave.half = 0;
    wave.step = nullptr;
    return in->size_dw;
  }

  u32& v(u32 n, u32 lane = 0) { return wave.vgpr_base[lane >> 5][n][lane & 31]; }
  u32& s(u32 n) { return wave.sgpr[n]; }
  void fill(u32 n, u32 value) {
    for (u32 lane = 0; lane < wave.lanes; lane++) v(n, lane) = value;
  }

  Wave wave;
  std::string unknown;   // last opcode without a handler

 private:
  struct Storage {
    alignas(64) LaneArray lanes[registers] = {};
  };
  std::map<std::string, std::vector<u32>> assembled_;
  std::unique_ptr<Storage> storage_[2];
  Dispatch dispatch_;
  Group group_;
  Counters counters_;
  std::unique_ptr<WmmaFactors> factors_ = std::make_unique<WmmaFactors>();
};

}  // namespace amlm::isa::test
