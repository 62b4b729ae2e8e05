// Strict mode: which bits of a wave's registers have no defined value, and why.
//
// A value is not judged where it is read but where it can be observed or can steer: data and addresses of global memory,
// any address, EXEC, branches, M0, lane numbers. Until then each instruction passes the state on, bit by bit where it is
// bitwise and lane by lane always (Valgrind's memcheck does the same for bits of a CPU). So a compiler may read what
// nobody wrote as long as it does not matter.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "isa/execute/wave.h"

namespace amlm::isa {

// Bits of a dword that have no defined value, and where they come from (Origins; 0 when there are none).
struct Poison {
  u32 bits = 0;
  u32 origin = 0;
};

// Why values are not defined: of one workgroup while it runs.
class Origins {
 public:
  struct Origin {
    const char* kind = nullptr;    // of the fault that a use becomes
    const Step* step = nullptr;    // the load that brought it in
    std::string what;              // a clause: "reads LDS 0x10, which nobody has written"
    u64 address = 0;
  };
  void begin() { origins_.clear(); }
  static u32 uninitialised_register(u16 code) { return 1 + code; }
  // Set in an origin while the bits are as scratch gave them, moved but not calculated with: a struct's padding.
  static constexpr u32 out_of_scratch = 1u << 31;
  // One for each load and kind: the first address stands for all.
  template <class Describe>
  u32 of(const char* kind, const Step* step, u64 address, Describe&& describe) {
    for (u32 i = u32(origins_.size()); i-- > 0;)
      if (origins_[i].step == step && origins_[i].kind == kind) return first_load + i;
    origins_.push_back({kind, step, describe(), address});
    return first_load + u32(origins_.size()) - 1;
  }
  Origin describe(u32 id, const Dispatch& dispatch) const;

 private:
  static constexpr u32 first_load = 1024;
  std::vector<Origin> origins_;
};

std::string register_name(u16 code);

// The rule of an instruction: how poison goes from its sources to its results. (isa/execute/check_of.cpp says which)
enum class Passes : u8 {
  nothing,      // has no register results, or none that depend on sources
  lanes,        // lane by lane (vector ALU)
  dual,         // VOPD
  moves,        // registers and lanes are moved whole: the handler itself, run on the state instead of the values
  exchange,     // v_swap_b16
  write_lane,
  from_lanes,   // ds_bpermute
  to_lanes,     // ds_permute
  matrix,
  scalar,
  branch_scc, branch_vcc,
  load,         // from memory or LDS: MemoryUnit and LdsChecker say what comes in
};

// Bits [31:0] or [63:0] of one lane's result that are not defined, given those of the sources and the sources' values.
struct LaneOperands {
  std::array<u64, 4> poison{}, value{};
  u32 count = 0;
  u64 any() const { return poison[0] | poison[1] | poison[2] | poison[3]; }
};
u64 poison_of_lane(const Instruction& in, Opcode opcode, const LaneOperands& sources);
bool poison_of_compare(Opcode opcode, const LaneOperands& sources);
// Scalar: the result's bits, and SCC's state.
struct ScalarPoison {
  u64 bits = 0;
  bool scc = false;
};
ScalarPoison poison_of_scalar(const Instruction& in, const LaneOperands& sources, bool scc_poison, bool scc);

class PoisonState {
 public:
  void begin(u32 vgpr_count, u32 halves);
  void define_sgprs(u32 count, u32 unset) {
    for (u32 i = 0; i < count; ++i)
      if (!(unset >> i & 1)) sgpr_[i] = {};
  }
  void define_v0(const Wave& wave);
  void begin_scratch(u64 bytes);

  u32 vgpr_lanes(u32 half, u32 vgpr) const { return lanes_[half][vgpr]; }
  Poison vgpr(u32 half, u32 vgpr, u32 lane) const { return {bits_[half][vgpr][lane], origin_[half][vgpr][lane]}; }
  const Poison& sgpr(u16 code) const { return sgpr_[code]; }
  const Poison& scc() const { return scc_; }
  // Never written: all bits, origin 0.
  Poison scratch(u64 dword) const { return dword < scratch_.size() ? scratch_[dword] : Poison{}; }
  void set_scratch(u64 dword, Poison poison) { if (dword < scratch_.size()) scratch_[dword] = poison; }

  // Results of a step none of whose sources is poisoned.
  void define_vgpr(u32 half, u32 vgpr, u32 lanes) {
    if (lanes_[half][vgpr] & lanes) [[unlikely]] clear_lanes(half, vgpr, lanes);
  }
  void define_sgpr(u16 code) { sgpr_[code] = {}; }
  void define_scc() { scc_ = {}; }
  void set_vgpr(u32 half, u32 vgpr, u32 lane, Poison poison);
  void set_sgpr(u16 code, Poison poison) { if (code != code_null) sgpr_[code] = poison; }

  // Passes on what `step` is about to do. False: a fault was raised (EXEC would not be defined).
  bool pass(Wave& wave, const Step& step, Passes passes);

 private:
  struct Fetched {
    std::array<u32, half_lanes> bits_low{}, bits_high{}, value_low{}, value_high{}, origin{};
  };
  struct Half;
  void clear_lanes(u32 half, u32 vgpr, u32 lanes);
  void note_lanes(u32 half, u32 vgpr);
  Poison scalar_source(u16 code) const;
  void fetch(Wave& wave, const Instruction& in, const Operand& operand, u32 type, u32 index, Fetched& to, u32& write);
  bool pass_lanes(Wave& wave, const Step& step);
  enum class Part : u8 { only, x, y };
  void pass_half(Wave& wave, const Step& step, Part part, Half& half);
  void commit(Wave& wave, const Instruction& in, const Operand& dst, u32 type, const Half& half, u32 half_index);
  bool commit_mask(Wave& wave, u16 code, u32 half_index, u32 bits, u32 origin);
  bool pass_dual(Wave& wave, const Step& step);
  void pass_moves(Wave& wave, const Step& step);
  void pass_scalar_moves(Wave& wave, const Step& step);
  void pass_exchange(Wave& wave, const Step& step);
  void pass_write_lane(Wave& wave, const Step& step);
  void pass_from_lanes(Wave& wave, const Step& step);
  void pass_to_lanes(Wave& wave, const Step& step);
  void pass_matrix(Wave& wave, const Step& step);
  bool pass_scalar(Wave& wave, const Step& step);
  bool pass_exec(Wave& wave, const Step& step, const LaneOperands& sources, u32 origin);
  bool refuse_exec(Wave& wave, u32 origin);
  bool check_branch(Wave& wave, Passes passes);

  static constexpr u32 vgprs = 256 + 16;
  std::array<std::array<LaneArray, vgprs>, 2> bits_{}, origin_{};   // 0 where lanes_ says so
  std::array<std::array<u32, vgprs>, 2> lanes_{};                   // [half][register] -> lanes with poisoned bits
  std::array<Poison, 128> sgpr_;
  Poison scc_;
  std::vector<Poison> scratch_;
};

// "stores v3: that value ..." with the kind of the origin.
void raise_poison(Wave& wave, u32 origin, const std::string& use, u32 lane);

}  // namespace amlm::isa
