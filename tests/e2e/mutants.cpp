// The strict virtual GPU catches what it claims, on the real thing: the decode step of the demo model. Each mutant is the
// step's indirect buffer with one mistake planted; it must end in a GPU fault. The step itself must not.
#include <catch2/catch.hpp>

#include <cstdio>
#include <cstring>
#include <vector>

#include "driver/device.h"
#include "driver/queue.h"
#include "engine/model/model.h"
#include "engine/sampler/sampler.h"
#include "engine/session.h"

namespace amlm {
namespace {

// Packet headers, from driver.md 2.1: written here a second time on purpose.
constexpr u32 nop_dword = 0xffff1000, op_event_write = 0x46, op_acquire_mem = 0x58, op_set_sh_reg = 0x76, op_dispatch = 0x15;

struct Packet {
  u32 at = 0, size_dw = 0, opcode = 0;
};

std::vector<Packet> packets_of(const std::vector<u32>& words) {
  std::vector<Packet> packets;
  for (u32 at = 0; at < words.size();) {
    const u32 size_dw = words[at] == nop_dword ? 1 : (words[at] >> 16 & 0x3fff) + 2;
    packets.push_back({at, size_dw, words[at] >> 8 & 0xff});
    at += size_dw;
  }
  return packets;
}

std::vector<u32> without(std::vector<u32> words, const Packet& packet) {
  std::fill_n(words.begin() + packet.at, packet.size_dw, nop_dword);
  return words;
}

// The same SET_SH_REG without its register `index`: two packets around the gap.
std::vector<u32> without_register(const std::vector<u32>& words, const Packet& packet, u32 index) {
  const u32 count = packet.size_dw - 2, first = words[packet.at + 1];
  std::vector<u32> out(words.begin(), words.begin() + packet.at);
  const auto set = [&](u32 from, u32 to) {
    if (from == to) return;
    out.push_back(3u << 30 | (to - from) << 16 | op_set_sh_reg << 8);
    out.push_back(first + from);
    out.insert(out.end(), words.begin() + packet.at + 2 + from, words.begin() + packet.at + 2 + to);
  };
  set(0, index);
  set(index + 1, count);
  out.insert(out.end(), words.begin() + packet.at + packet.size_dw, words.end());
  while (out.size() % 8 != 0) out.push_back(nop_dword);
  return out;
}

struct Bench {
  std::unique_ptr<Device> device;
  std::unique_ptr<Model> model;
  std::unique_ptr<Session> session;
  std::vector<u32> step;        // the decode IB
  Buffer ib;
  std::unique_ptr<Queue> queue;

  Bench() {
    auto opened = Device::open({});
    INFO((opened ? "" : opened.error().sentence));
    REQUIRE(opened.has_value());
    device = std::move(*opened);
    auto loaded = Model::open(AMLM_DEMO_MODEL);
    REQUIRE(loaded.has_value());
    model = std::move(*loaded);
    auto created = Session::create(*device, *model, {.context = 64});
    REQUIRE(created.has_value());
    session = std::move(*created);
    const u32 prompt[] = {1, 626, 539};
    REQUIRE(session->prefill(prompt).has_value());
    Sampler greedy(SamplerOptions{.temperature = 0});
    REQUIRE(session->next(greedy).has_value());
    const auto words = session->decode_ib();
    step.assign(words.begin(), words.end());
    auto memory = device->allocate({.size_bytes = step.size() * 4 + 4096, .use = MemoryUse::shared, .label = "mutant"});
    REQUIRE(memory.has_value());
    ib = std::move(*memory);
    auto made = Queue::create(*device);
    REQUIRE(made.has_value());
    queue = std::make_unique<Queue>(std::move(*made));
  }

  // "" when the step runs through; else what the driver says of it.
  std::string run(const std::vector<u32>& words) {
    std::memcpy(ib.data(), words.data(), words.size() * 4);
    const BufferView view = ib.view().slice(0, words.size() * 4);
    auto point = queue->submit(std::span(&view, 1));
    if (!point) return point.error().sentence;
    auto done = queue->wait(*point);
    if (done) return "";
    REQUIRE(done.error().code == ErrorCode::gpu_fault);
    REQUIRE(queue->recover().has_value());
    return done.error().sentence;
  }
};

struct Tally {
  const char* kind;
  u32 planted = 0, caught = 0;
  void add(bool was_caught) {
    planted++;
    caught += was_caught;
  }
  ~Tally() { std::printf("%s: %u of %u mutants caught\n", kind, caught, planted); }
};

}  // namespace

TEST_CASE("each barrier of the decode step is needed, and its absence is caught") {
  Bench bench;
  REQUIRE(bench.run(bench.step) == "");
  const auto packets = packets_of(bench.step);
  Tally whole{"barrier removed"}, no_wait{"CS_PARTIAL_FLUSH removed"}, no_invalidate{"ACQUIRE_MEM removed"};
  u32 dispatches = 0;
  for (u32 i = 0; i + 1 < packets.size(); i++) {
    dispatches += packets[i].opcode == op_dispatch;
    if (packets[i].opcode != op_event_write || packets[i + 1].opcode != op_acquire_mem || dispatches == 0) continue;
    bool followed = false;      // by a dispatch: the last barrier only closes the buffer
    for (u32 k = i; k < packets.size(); k++) followed |= packets[k].opcode == op_dispatch;
    if (!followed) continue;
    INFO("barrier after dispatch " << dispatches);
    const auto both = bench.run(without(without(bench.step, packets[i]), packets[i + 1]));
    const auto event = bench.run(without(bench.step, packets[i]));
    const auto acquire = bench.run(without(bench.step, packets[i + 1]));
    CHECK(both != "");
    CHECK(event != "");
    CHECK(acquire != "");
    whole.add(both != "");
    no_wait.add(event != "");
    no_invalidate.add(acquire != "");
  }
  CHECK(whole.planted >= 5 * bench.session->cost().layers);
  REQUIRE(bench.run(bench.step) == "");
}

TEST_CASE("the decode step without its first ACQUIRE_MEM is caught") {
  Bench bench;
  for (const auto& packet : packets_of(bench.step)) {
    if (packet.opcode != op_acquire_mem) continue;
    CHECK(bench.run(without(bench.step, packet)) != "");
    break;
  }
}

// SH registers that cannot change what this dispatch does, and why: nobody demands them, RADV leaves most unset.
bool matters(u32 sh_register) {
  switch (sh_register) {
    case 0x204: case 0x205: case 0x206:             // START_X/Y/Z: the initiator says FORCE_START_AT_000
    case 0x20e: case 0x20f:                         // DISPATCH_PKT_ADDR: the kernel takes no dispatch packet
    case 0x210: case 0x211: case 0x218:             // SCRATCH_BASE, TMPRING_SIZE: the kernel uses no scratch
    case 0x219: case 0x21a:                         // thread management of engines that gfx1151 lacks
    case 0x22b: case 0x22c: case 0x22d: case 0x22e:
    case 0x21b: case 0x21c: case 0x21d:             // RESTART: only with the initiator's RESTORE
    case 0x222: case 0x22a:                         // REQ_CTRL, SHADER_CHKSUM
    case 0x224: case 0x225: case 0x226: case 0x227: // USER_ACCUM: counters
    case 0x22f: case 0x27d:                         // DISPATCH_INTERLEAVE, _TUNNEL: speed
      return false;
    default: return true;
  }
}

TEST_CASE("each SH register that the first dispatch leaves unset is caught") {
  Bench bench;
  Tally tally{"SH register unset"};
  for (const auto& packet : packets_of(bench.step)) {
    if (packet.opcode == op_dispatch) break;
    if (packet.opcode != op_set_sh_reg) continue;
    for (u32 i = 0; i < packet.size_dw - 2; i++) {
      const u32 sh_register = bench.step[packet.at + 1] + i;
      if (!matters(sh_register)) continue;
      INFO("SH register 0x" << std::hex << sh_register);
      const auto said = bench.run(without_register(bench.step, packet, i));
      CHECK(said != "");
      tally.add(said != "");
    }
  }
  CHECK(tally.planted >= 13);
}

}  // namespace amlm
