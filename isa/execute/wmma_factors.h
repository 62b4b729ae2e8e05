// What WMMA factors are once taken apart (silicon_wmma.h), kept from one WMMA to the next: a matrix product uses each
// fragment several times. One per host thread.
//
// Fragments are known by their first VGPR. They stay good while nothing but WMMAs of the same wave writes VGPRs: Program
// links a WMMA to the one before it when only waits stand between (Step::wmma_before), and from there no way
// leads to anything but this. Whatever else comes in between makes this forget which registers hold what, but not what
// there was: registers whose contents are those of a kept fragment are not taken apart again. The waves of a workgroup
// often load the same fragments, and a loop may leave some of its own where they are.
#pragma once

#include <array>

#include "isa/execute/silicon_wmma.h"
#include "isa/execute/wave.h"

namespace amlm::isa {

class WmmaFactors {
 public:
  // A wave starts: its registers are others.
  void forget() { last_ = nullptr; }

  // Before the WMMA `step` of `wave`.
  void follow(const Wave& wave, const Step& step) {
    if (last_ == nullptr || step.wmma_before != last_ || wave_ != &wave) rows_.clear(), columns_.clear();
    wave_ = &wave;
    last_ = &step;
  }
  // After it: `vgpr` is the first of D's eight.
  void written(u32 vgpr) {
    rows_.drop(vgpr);
    columns_.drop(vgpr);
  }

  // `lanes`: of the first of the fragment's eight registers. Null: they hold an infinity or a NaN.
  const silicon::WmmaRows* rows(u32 vgpr, const u32* lanes) { return rows_.get(vgpr, lanes, silicon::split_wmma_rows); }
  const silicon::WmmaColumns* columns(u32 vgpr, const u32* lanes) {
    return columns_.get(vgpr, lanes, silicon::split_wmma_columns);
  }

 private:
  static constexpr u32 kept = 8, nothing = ~0u;

  template <class Split>
  class Kept {
   public:
    void clear() { vgpr_.fill(nothing); }
    void drop(u32 written) {
      for (u32& vgpr : vgpr_) vgpr = vgpr - written + 7 < 15 ? nothing : vgpr;   // the two overlap
    }
    const Split* get(u32 vgpr, const u32* lanes, bool (*split)(const u32*, Split&)) {
      for (u32 i = 0; i < kept; ++i)
        if (vgpr_[i] == vgpr) return &split_[i];
      const u64 mark = 1 | u64{lanes[0]} << 32 | lanes[2];   // of its contents, not 0
      for (u32 i = 0; i < kept; ++i)
        if (mark_[i] == mark && silicon::is_split_of(lanes, split_[i])) return vgpr_[i] = vgpr, &split_[i];
      const u32 i = next_++ % kept;
      const bool finite = split(lanes, split_[i]);
      vgpr_[i] = finite ? vgpr : nothing;
      mark_[i] = finite ? mark : 0;
      return finite ? &split_[i] : nullptr;
    }

   private:
    std::array<u32, kept> vgpr_;    // whose contents this is known to be
    std::array<u64, kept> mark_{};  // 0: nothing is kept here
    std::array<Split, kept> split_;
    u32 next_ = 0;
  };

  const Step* last_ = nullptr;   // null: everything kept is old
  const Wave* wave_ = nullptr;
  Kept<silicon::WmmaRows> rows_;
  Kept<silicon::WmmaColumns> columns_;
};

}  // namespace amlm::isa
