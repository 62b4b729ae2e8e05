#include "isa/execute/program.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "isa/execute/memory_unit.h"
#include "isa/execute/timing.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

void fault_no_execute(Wave& wave, const Step& step) {
  wave.raise("no-exec", fmt::format("instruction fetch at {:#x}: {}, not mapped executable", step.pc,
                                    wave.memory->describe(step.pc)), step.pc);
}

void fault_illegal(Wave& wave, const Step& step) {
  const std::array<u32, 3> words{step.in.literal, u32(step.in.offset), step.in.dpp8_select};
  DecodeError error;
  decode(words, &error);
  wave.raise("illegal-instruction", error.sentence, step.pc);
}

void fault_not_executed(Wave& wave, const Step& step) {
  wave.raise("not-executed", fmt::format("{} is in the tables but has no executor", info(step.in.opcode).name),
             step.pc);
}

bool is_plain(const Instruction& in) {
  return !in.neg && !in.abs && !in.neg_hi && !in.opsel && !in.omod && !in.clamp &&
         (in.encoding == Encoding::native || in.encoding == Encoding::vop3);
}

bool is_vector_alu(Format format) {
  switch (format) {
    case Format::vop1: case Format::vop2: case Format::vopc: case Format::vop3: case Format::vop3sd: case Format::vop3p:
    case Format::vopd: case Format::vinterp: return true;
    default: return false;
  }
}

bool is_vector_memory(Format format) {
  switch (format) {
    case Format::ds: case Format::flat: case Format::global: case Format::scratch: case Format::mubuf:
    case Format::mtbuf: return true;
    default: return false;
  }
}

// A class test sees subnormals whatever MODE says (ERRATA: class-of-subnormals).
bool is_class_test(Opcode opcode) {
  using enum Opcode;
  return opcode == v_cmp_class_f32 || opcode == v_cmp_class_f16 || opcode == v_cmp_class_f64 ||
         opcode == v_cmpx_class_f32 || opcode == v_cmpx_class_f16 || opcode == v_cmpx_class_f64;
}

void note_f32s(Step& step) {
  const auto is_f32 = [](Type type) { return type == Type::F32 || type == Type::K_F32; };
  const OpInfo& row = info(step.in.opcode);
  step.f32_result = is_f32(row.dst[0].type);
  step.keeps_subnormals = is_class_test(step.in.opcode);
  if (step.keeps_subnormals) return;
  for (u32 k = 0; k < row.src.size(); ++k) step.f32_sources |= u8(is_f32(row.src[k].type)) << k;
}

}  // namespace

void bind(Step& step) {
  const Instruction& in = step.in;
  step.plain = is_plain(in);
  note_f32s(step);
  if (is_vector_alu(in.format)) {
    step.vector = true;
    step.whole_wave = wants_whole_wave(in);
    step.handler = handler_for(in);
    if (in.format == Format::vopd) vopd_parts(step);
    for (const Operand& result : {in.dst, in.sdst})
      if (result.present() && !result.is_vgpr()) step.scalar_result = u8(result.code);
  } else if (is_vector_memory(in.format) || in.format == Format::smem) {
    step.vector = in.format != Format::smem;
    step.handler = memory_handler_for(in);
    step.whole_wave = memory_wants_whole_wave(in);
  } else {
    step.handler = flow_handler_for(in);
    if (!step.handler) step.handler = handler_for(in);
  }
  if (!step.handler) step.handler = fault_not_executed;
  step.count = count_of(in);
}

namespace {

Step decode_at(u64 pc, const AddressSpace& space) {
  Step step;
  step.pc = pc;
  step.next_pc = pc + 4;
  const Mapping* mapping = space.find(pc);
  if (!mapping || !(mapping->access & access_execute) || pc % 4 || mapping->va + mapping->size_bytes - pc < 4) {
    step.handler = fault_no_execute;
    return step;
  }
  std::array<u32, 3> words{};
  const u64 left = mapping->va + mapping->size_bytes - pc;
  const u32 fetched = u32(std::min<u64>(3, left / 4));
  std::memcpy(words.data(), mapping->host + (pc - mapping->va), fetched * 4);
  if (auto in = decode(std::span(words.data(), fetched))) {
    step.in = *in;
    step.next_pc = pc + in->size_dw * 4;
    bind(step);
    return step;
  }
  step.in.literal = words[0];
  step.in.offset = i32(words[1]);
  step.in.dpp8_select = words[2];
  step.handler = fault_illegal;
  return step;
}

bool ends_here(const Step& step) { return step.handler == fault_no_execute || step.handler == fault_illegal; }

}  // namespace

Program::Program(u64 entry, const AddressSpace& space) {
  std::unordered_map<u64, u32> index;
  std::vector<u64> open{entry};
  while (!open.empty()) {
    u64 pc = open.back();
    open.pop_back();
    while (!index.contains(pc)) {
      index.emplace(pc, u32(steps_.size()));
      steps_.push_back(decode_at(pc, space));
      const Step& step = steps_.back();
      if (ends_here(step)) break;
      const Flow flow = flow_of(step.in);
      if (flow.has_target) open.push_back(step.next_pc + i64(step.in.offset) * 4);
      if (!flow.falls_through) break;
      pc = step.next_pc;
    }
  }
  checks_.resize(steps_.size());
  for (u32 i = 0; i < steps_.size(); ++i) {
    Step& step = steps_[i];
    step.check = &checks_[i];
    if (ends_here(step)) continue;
    checks_[i] = check_of(step.in);
    const Flow flow = flow_of(step.in);
    if (const auto next = index.find(step.next_pc); next != index.end()) step.next = &steps_[next->second];
    if (flow.has_target) step.target = &steps_[index.at(step.next_pc + i64(step.in.offset) * 4)];
  }
  find_blocks();
  for (Step& step : steps_)
    if (step.in.opcode == Opcode::v_wmma_f32_16x16x16_f16 && !ends_here(step)) link_wmma(step);
}

void Program::find_blocks() {
  const u32 count = u32(steps_.size());
  std::vector<bool> begins(count + 1);
  begins[0] = begins[count] = true;
  for (u32 i = 0; i < count; ++i) {
    const Step& step = steps_[i];
    if (step.target) begins[u32(step.target - steps_.data())] = true;
    if (step.next != &step + 1) begins[i + 1] = true;
    if (step.next && step.next != &step + 1) begins[u32(step.next - steps_.data())] = true;
    if (!ends_here(step) && leaves_line(step.in)) begins[i + 1] = true;
  }
  blocks_.reserve(u32(std::count(begins.begin(), begins.end(), true)));   // steps point into it
  for (u32 first = 0; first < count;) {
    Block& block = blocks_.emplace_back();
    steps_[first].block = &block;
    u32 i = first;
    for (; !begins[i + 1]; ++i)
      if (!is_idle(steps_[i])) block.work.push_back(&steps_[i]);
    block.last = &steps_[i];
    block.length = i + 1 - first;
    for (; first <= i; ++first) ++block.counts[u32(steps_[first].count)];
  }
}

// Steps are linked forward only: the one to be told is found by its place.
void Program::link_wmma(const Step& step) {
  const Step* after = step.next;
  while (after != nullptr && !ends_here(*after) && after->count == Count::wait) after = after->next;
  if (after != nullptr && after->in.opcode == step.in.opcode && !ends_here(*after))
    steps_[u32(after - steps_.data())].wmma_before = &step;
}

const Program& ProgramCache::at(u64 entry, const AddressSpace& space) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Program>& program = programs_[entry];
  if (!program) program = std::make_unique<Program>(entry, space);
  return *program;
}

void ProgramCache::clear() {
  const std::lock_guard lock(mutex_);
  programs_.clear();
}

}  // namespace amlm::isa
