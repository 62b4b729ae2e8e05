// A forward data flow. The state before an instruction says of each register how many operations of the same counter were
// issued after the load into it: its age. A wait for at most n outstanding ones completes all of age n and more. Where
// paths meet, the younger age stands, so the state grows in one direction only and the iteration ends.
#include "isa/waits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "isa/execute/checker.h"
#include "isa/execute/program.h"
#include "isa/tables.h"

namespace amlm::isa {
namespace {

// vm: loads of vector memory. ds: LDS, and FLAT's share of it. scalar: scalar loads and messages; these return in any
// order, so that only a wait for none says that one is there.
enum Counter : u32 { vm, ds, scalar, counters };
constexpr u8 landed = 0xff, oldest = 64;      // no counter holds more than 63
constexpr u32 registers = 512;                // by operand code

struct Load { u8 age = landed; u16 by = 0; };  // `by`: index of the instruction
using State = std::array<std::array<Load, registers>, counters>;

State nothing_in_flight() { return {}; }

enum class Pass : u8 { collect, tell };

struct Placed { u32 offset = 0; Instruction in; StepCheck check; };

struct Finder {
  std::span<const u32> words;
  u32 wave_lanes;
  std::vector<Placed> list;
  std::map<u32, u32> index;             // offset -> place in the list
  std::vector<bool> joins;              // what a branch goes to, and the entry
  std::map<u32, State> before;          // of the joins reached
  std::vector<Hazard> found;

  void decode_all();
  u32 count_of(const RegisterUse& use) const;
  void check_uses(u32 at, State& state, Pass pass);
  void apply(u32 at, State& state);
  bool merge(u32 into, const State& state);
  std::optional<u32> place_of(i64 offset) const;
  void find_joins();
  void walk(u32 at, std::vector<u32>& open, Pass pass);
  void run();
};

void Finder::decode_all() {
  for (u32 at = 0; at < words.size();) {
    const auto in = decode(words.subspan(at));
    if (!in || in->opcode == Opcode::s_code_end) {
      ++at;
      continue;
    }
    index[4 * at] = u32(list.size());
    list.push_back({4 * at, *in, check_of(*in)});
    at += in->size_dw;
  }
}

u32 Finder::count_of(const RegisterUse& use) const {
  if (wave_lanes == 32) return use.count;
  return use.mask ? 2 : use.matrix ? use.count / 2 : use.count;
}

std::string register_name(u32 code) {
  if (code >= code_vgpr0) return fmt::format("v{}", code - code_vgpr0);
  if (code == code_vcc_lo || code == code_vcc_hi) return code == code_vcc_lo ? "vcc_lo" : "vcc_hi";
  if (code == code_m0) return "m0";
  if (code == code_exec_lo || code == code_exec_hi) return code == code_exec_lo ? "exec_lo" : "exec_hi";
  return code < code_vcc_lo ? fmt::format("s{}", code) : fmt::format("ttmp{}", code - 108);
}

std::string wait_for(Counter counter, u32 age) {
  if (counter == scalar) return "lgkmcnt(0)";
  return fmt::format("{}({})", counter == vm ? "vmcnt" : "lgkmcnt", std::min<u32>(age, 63));
}

// A register that was used too early counts as there afterwards, so that a missing wait is told once.
void Finder::check_uses(u32 at, State& state, Pass pass) {
  const Placed& placed = list[at];
  bool good = true;
  for (u32 i = 0; i < placed.check.count; ++i) {
    const RegisterUse& use = placed.check.uses[i];
    for (u32 code = use.code; code < std::min(use.code + count_of(use), registers); ++code) {
      const auto pending = [&](Counter counter) { return state[counter][code].age != landed; };
      if (!pending(vm) && !pending(ds) && !pending(scalar)) continue;
      // Loads of one kind return in order: a later one may take over the register of an earlier one.
      const bool takes_over = use.role == RegisterUse::write && !pending(scalar) &&
                              ((placed.check.issues == Issues::vmem_load && !pending(ds)) ||
                               (placed.check.issues == Issues::lds && !pending(vm)));
      if (takes_over) continue;
      for (const Counter counter : {vm, ds, scalar}) {
        Load& load = state[counter][code];
        if (load.age == landed) continue;
        if (good && pass == Pass::tell)
          found.push_back({placed.offset, fmt::format("{} {}, into which {} at +0x{:x} may still be loading: a wait for {} "
                                                      "must stand between",
                                                      use.role == RegisterUse::write ? "overwrites" : "uses",
                                                      register_name(code), info(list[load.by].in.opcode).name,
                                                      list[load.by].offset, wait_for(counter, load.age))});
        good = false;
        load.age = landed;
      }
    }
  }
}

void settle(std::array<Load, registers>& loads, u32 left) {
  for (Load& load : loads)
    if (load.age != landed && load.age >= left) load.age = landed;
}

void wait_lgkm(State& state, u32 left) {
  settle(state[ds], left);
  if (left == 0) settle(state[scalar], 0);
}

void wait(const Instruction& in, State& state) {
  const u32 word = u32(in.offset);
  const bool plain = in.src[0].code == code_null;     // s_waitcnt_vmcnt s5, ...: how many are left is not known here
  switch (in.opcode) {
    case Opcode::s_waitcnt:                           // {VM[15:10], LGKM[9:4], EXP[2:0]}
      settle(state[vm], word >> 10 & 0x3f);
      wait_lgkm(state, word >> 4 & 0x3f);
      break;
    case Opcode::s_wait_idle:
      settle(state[vm], 0);
      wait_lgkm(state, 0);
      break;
    case Opcode::s_waitcnt_vmcnt: if (plain) settle(state[vm], word & 0x3f); break;
    case Opcode::s_waitcnt_lgkmcnt: if (plain) wait_lgkm(state, word & 0x3f); break;
    default: break;
  }
}

void Finder::apply(u32 at, State& state) {
  const Placed& placed = list[at];
  wait(placed.in, state);
  const Issues issues = placed.check.issues;
  const bool counts[counters] = {
      issues == Issues::vmem_load || issues == Issues::flat_load,
      issues == Issues::lds || issues == Issues::flat_load || issues == Issues::flat_store,
      issues == Issues::scalar_load || issues == Issues::message};
  const bool loads = issues != Issues::flat_store;
  for (u32 counter = 0; counter < counters; ++counter) {
    if (!counts[counter]) continue;
    for (Load& load : state[counter])
      if (load.age < oldest) ++load.age;
    for (u32 i = 0; i < placed.check.count && loads; ++i) {
      const RegisterUse& use = placed.check.uses[i];
      if (use.role != RegisterUse::write) continue;
      for (u32 code = use.code; code < std::min(use.code + count_of(use), registers); ++code)
        state[counter][code] = {0, u16(at)};
    }
  }
}

bool Finder::merge(u32 into, const State& state) {
  const auto [place, is_new] = before.try_emplace(into, state);
  bool changed = is_new;
  for (u32 counter = 0; counter < counters && !is_new; ++counter)
    for (u32 code = 0; code < registers; ++code) {
      Load& mine = place->second[counter][code];
      const Load& other = state[counter][code];
      if (other.age >= mine.age) continue;
      mine = other;
      changed = true;
    }
  return changed;
}

std::optional<u32> Finder::place_of(i64 offset) const {
  const auto at = index.find(u32(offset));
  return offset < 0 || at == index.end() ? std::nullopt : std::optional(at->second);
}

void Finder::find_joins() {
  joins.resize(list.size());
  for (const Placed& placed : list)
    if (flow_of(placed.in).has_target)
      if (const auto target = place_of(placed.offset + 4 * (i64(placed.in.size_dw) + placed.in.offset)))
        joins[*target] = true;
}

// From a join to where the straight line ends or meets the next join; joins whose state has changed go to `open`.
void Finder::walk(u32 at, std::vector<u32>& open, Pass pass) {
  State state = before.at(at);
  while (true) {
    check_uses(at, state, pass);
    apply(at, state);
    const Instruction& in = list[at].in;
    const Flow flow = flow_of(in);
    const i64 next = list[at].offset + 4 * i64(in.size_dw);
    if (flow.has_target)
      if (const auto target = place_of(next + 4 * i64(in.offset)); target && merge(*target, state)) open.push_back(*target);
    const auto after = place_of(next);
    if (!flow.falls_through || !after) return;
    if (in.opcode == Opcode::s_call_b64 || in.opcode == Opcode::s_swappc_b64) state = nothing_in_flight();
    at = *after;
    if (!joins[at]) continue;
    if (merge(at, state)) open.push_back(at);
    return;
  }
}

void Finder::run() {
  decode_all();
  if (list.empty() || list.size() > 0xffff) return;
  find_joins();
  joins[0] = true;
  before[0] = nothing_in_flight();
  std::vector<u32> open{0};
  while (!open.empty()) {
    const u32 at = open.back();
    open.pop_back();
    walk(at, open, Pass::collect);
  }
  for (const auto& [at, state] : before) walk(at, open, Pass::tell);
  std::ranges::stable_sort(found, {}, &Hazard::offset_bytes);
}

}  // namespace

std::vector<Hazard> find_missing_waits(std::span<const u32> code, u32 wave_lanes) {
  Finder finder{.words = code, .wave_lanes = wave_lanes};
  finder.run();
  return std::move(finder.found);
}

}  // namespace amlm::isa
