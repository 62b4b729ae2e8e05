// The plan's arithmetic and the two forward lists, without a device: kernels are stand-ins, addresses are 0.
#include "engine/plan.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/engine/gguf_builder.h"

using namespace amlm;

namespace {

struct FakeKernels {
  std::vector<Kernel> storage = std::vector<Kernel>(64);
  KernelSet set;
  FakeKernels() {
    u32 next = 0;
    const auto fill = [&](KernelSet::ByType& table, const std::string& name) {
      for (const Kernel*& entry : table) {
        storage[next].name = name;
        entry = &storage[next++];
      }
    };
    fill(set.embed, "embed");
    fill(set.qkv, "qkv");
    fill(set.attn_out, "attn_out");
    fill(set.gate_up, "gate_up");
    fill(set.down, "down");
    fill(set.logits, "logits");
    fill(set.gemm_store, "gemm_store");
    fill(set.gemm_add, "gemm_add");
    const auto one = [&](const Kernel*& entry, const char* name) {
      storage[next].name = name;
      entry = &storage[next++];
    };
    one(set.attn_decode, "attn_decode");
    one(set.argmax_final, "argmax_final");
    one(set.rmsnorm_f16, "rmsnorm_f16");
    one(set.swiglu_f16, "swiglu_f16");
    one(set.rope_kv, "rope_kv");
    one(set.attn_prefill, "attn_prefill");
  }
};

const Model& demo_model() {
  static const auto model = Model::open(std::string(AMLM_DEMO_FOLDER) + "/fairytale-7m-q8_0.gguf");
  REQUIRE(model.has_value());
  return **model;
}

std::string names(const Steps& steps) {
  std::string out;
  for (const Step& step : steps.steps()) out += (step.barrier_before ? "| " : "") + step.kernel->name + " ";
  return out;
}

GpuMap map_of(const Model& model, u32 context) {
  GpuMap map;
  map.layers.resize(model.config().layers);
  map.context = context;
  return map;
}

DeviceFacts facts() {
  DeviceFacts out;
  out.gtt_total_bytes = u64{64} << 30;
  out.job_timeout_ms = 2000;
  return out;
}

// The tiny model with one weight of its layer in another type.
std::unique_ptr<Model> tiny_with(const char* tensor, u32 type, u64 bytes, tests::Bytes& storage) {
  tests::GgufBuilder builder = tests::tiny_llama();
  builder.tensor(tensor).type = type;
  builder.tensor(tensor).data.resize(bytes);
  storage = builder.build();
  auto file = GgufFile::parse(ByteSource::from_bytes(storage, "test"));
  REQUIRE(file.has_value());
  auto model = Model::load(*std::move(file));
  REQUIRE(model.has_value());
  return *std::move(model);
}

}  // namespace

TEST_CASE("a decode step is five dispatches and five barriers a layer") {
  const Model& model = demo_model();
  const FakeKernels kernels;
  Steps steps;
  decode_forward(steps, model, kernels.set, map_of(model, 1024), 0);
  std::string wanted = "embed ";
  for (u32 i = 0; i < 8; ++i) wanted += "| qkv | attn_decode | attn_out | gate_up | down ";
  REQUIRE(names(steps) == wanted + "| logits | argmax_final ");
  const Plan plan = make_plan(model, kernels.set, {.context = 1024, .batch = 512, .limit_seconds = 0.5});
  REQUIRE(plan.cost.dispatches == 43);
  REQUIRE(plan.cost.barriers == 42);
  REQUIRE(plan.cost.dispatches_per_layer == 5);
  REQUIRE(plan.cost.barriers_per_layer == 5);
  REQUIRE(plan.cost.submits == 1);
}

TEST_CASE("a decode step reads every matrix once") {
  const Model& model = demo_model();
  const FakeKernels kernels;
  const Plan plan = make_plan(model, kernels.set, {.context = 1024, .batch = 512, .limit_seconds = 0.5});
  u64 wanted = 0;
  for (const GgufTensor& tensor : model.file().tensors())
    if (tensor.dimensions == 2) wanted += tensor.size_bytes;
  wanted += model.embedding().tensor->row_bytes();          // and one row of the embedding, which is also the output
  REQUIRE(plan.cost.weight_bytes == wanted);
  REQUIRE(plan.cost.kv_bytes_per_position == 8 * 2 * 64 * 2 * 2);
}

TEST_CASE("a prefill batch, in order") {
  const Model& model = demo_model();
  const FakeKernels kernels;
  Steps steps;
  prefill_forward(steps, model, kernels.set, map_of(model, 1024), {.tokens = 100, .last_logits = true});
  std::string wanted = "embed ";
  for (u32 i = 0; i < 8; ++i)
    wanted += "| rmsnorm_f16 | gemm_store gemm_store gemm_store | rope_kv | attn_prefill | gemm_add "
              "| rmsnorm_f16 | gemm_store gemm_store | swiglu_f16 | gemm_add ";
  REQUIRE(names(steps) == wanted + "| logits | argmax_final ");
  steps.clear();
  prefill_forward(steps, model, kernels.set, map_of(model, 1024), {.tokens = 100, .batch_logits_from = 60});
  REQUIRE(names(steps) == wanted + "| rmsnorm_f16 | gemm_store ");
  kernels::GemmArgs args;
  std::memcpy(&args, steps.kernargs().data() + steps.steps().back().kernarg_offset_bytes, sizeof args);
  REQUIRE(args.tokens == 40);
  REQUIRE(args.a == 60 * 256 * 2);
  REQUIRE(args.c == u64{60} * 4096 * 4);
}

TEST_CASE("matrices of other types get dispatches of their own") {
  const FakeKernels kernels;
  tests::Bytes storage;
  const auto value = tiny_with("blk.0.attn_v.weight", gguf_type_id::f16, 32 * 32 * 2, storage);
  Steps steps;
  decode_forward(steps, *value, kernels.set, map_of(*value, 256), 0);
  REQUIRE(names(steps) == "embed | qkv qkv | attn_decode | attn_out | gate_up | down | logits | argmax_final ");
  kernels::QkvArgs first, second;
  std::memcpy(&first, steps.kernargs().data() + steps.steps()[1].kernarg_offset_bytes, sizeof first);
  std::memcpy(&second, steps.kernargs().data() + steps.steps()[2].kernarg_offset_bytes, sizeof second);
  REQUIRE((first.q_rows == 32 && first.k_rows == 32 && first.v_rows == 0));
  REQUIRE((second.q_rows == 0 && second.k_rows == 0 && second.v_rows == 32));
  const u32 groups = (32 + kernels::gemv_group_rows - 1) / kernels::gemv_group_rows;
  REQUIRE(steps.steps()[1].groups[0] == 2 * groups);
  REQUIRE(steps.steps()[2].groups[0] == groups);

  const auto gate = tiny_with("blk.0.ffn_gate.weight", gguf_type_id::f16, 32 * 64 * 2, storage);
  steps.clear();
  decode_forward(steps, *gate, kernels.set, map_of(*gate, 256), 0);
  REQUIRE(names(steps) ==
          "embed | qkv | attn_decode | attn_out | logits logits | swiglu_f16 | down | logits | argmax_final ");
  const Plan plan = make_plan(*gate, kernels.set, {.context = 256, .batch = 8, .limit_seconds = 0});
  REQUIRE(std::any_of(plan.activations.begin(), plan.activations.end(),
                      [](const PlannedBuffer& b) { return b.address == &GpuMap::unused_best; }));
}

TEST_CASE("submissions are cut by predicted time, and none is lost") {
  const Model& model = demo_model();
  const FakeKernels kernels;
  Steps steps;
  prefill_forward(steps, model, kernels.set, map_of(model, 1024), {.tokens = 512, .last_logits = true});
  REQUIRE(cut_submissions(steps, 0).size() == 1);
  f64 longest = 0, total = 0;
  for (const Step& step : steps.steps()) {
    longest = std::max(longest, step.seconds());
    total += step.seconds();
  }
  for (const f64 limit : {1e-5, 1e-4, total / 3}) {
    const auto cuts = cut_submissions(steps, limit);
    u32 sum = 0;
    size_t index = 0;
    for (const u32 count : cuts) {
      f64 seconds = 0;
      for (u32 i = 0; i < count; ++i) seconds += steps.steps()[index++].seconds();
      REQUIRE((seconds <= limit * 1.000001 || count == 1));
      sum += count;
    }
    REQUIRE(sum == steps.steps().size());
    REQUIRE(cuts.size() > 1);
  }
}

TEST_CASE("the memory plan adds up, and refuses with numbers and remedy") {
  const Model& model = demo_model();
  const FakeKernels kernels;
  const Plan plan = make_plan(model, kernels.set, {.context = 1024, .batch = 512, .limit_seconds = 0.5});
  REQUIRE(plan.kv_layer_bytes == 1024 * 2 * 64 * 2);
  REQUIRE(plan.memory.lines[1].size_bytes == 8 * 2 * plan.kv_layer_bytes);
  u64 sum = 0;
  for (const auto& line : plan.memory.lines) sum += line.size_bytes;
  REQUIRE(plan.memory.total_bytes() == sum);
  const std::string table = plan.memory.print(facts(), u64{60} << 30);
  REQUIRE(table.find("KV cache, f16, 1024 tokens") != std::string::npos);
  REQUIRE(table.find("total") != std::string::npos);

  const auto exact = choose_plan(model, kernels.set, {.context = 1024}, facts(), {sum});
  REQUIRE(exact.has_value());
  const auto tight = choose_plan(model, kernels.set, {.context = 1024}, facts(), {sum - 1});
  REQUIRE_FALSE(tight.has_value());
  INFO(tight.error().sentence);
  REQUIRE(tight.error().code == ErrorCode::memory);
  REQUIRE(tight.error().sentence.find("ttm.pages_limit=") != std::string::npos);
  REQUIRE(tight.error().sentence.find("--ctx 768 fits") != std::string::npos);
  const auto crowded = choose_plan(model, kernels.set, {.context = 1024}, facts(), {u64{1} << 40, sum - 1});
  REQUIRE(crowded.error().sentence.find("of this machine's memory") != std::string::npos);
  REQUIRE(read_memory_room(5).gtt_free_bytes == 5);
  REQUIRE(read_memory_room(5).host_available_bytes != ~u64{0});
  const auto chosen = choose_plan(model, kernels.set, {}, facts(), {sum - 1});
  REQUIRE(chosen.has_value());
  REQUIRE(chosen->context == 768);
  const auto own = choose_plan(model, kernels.set, {}, facts(), {u64{1} << 40});
  REQUIRE(own->context == model.config().trained_context);
  const auto none = choose_plan(model, kernels.set, {}, facts(), {1 << 20});
  REQUIRE(none.error().sentence.find("smaller model") != std::string::npos);
  REQUIRE(choose_plan(model, kernels.set, {.batch = 0}, facts(), {sum}).error().code == ErrorCode::usage);
}

TEST_CASE("a batch is at most the context") {
  const Model& model = demo_model();
  const FakeKernels kernels;
  const Plan plan = make_plan(model, kernels.set, {.context = 64, .batch = 512, .limit_seconds = 0.5});
  REQUIRE(plan.batch == 64);
  const auto x = std::find_if(plan.activations.begin(), plan.activations.end(),
                              [](const PlannedBuffer& b) { return b.label == "x"; });
  REQUIRE(x->size_bytes == 64 * 256 * 4);
  REQUIRE(decode_splits(1) == 1);
  REQUIRE(decode_splits(256) == 1);
  REQUIRE(decode_splits(257) == 2);
  REQUIRE(decode_splits(1u << 20) == kernels::decode_max_splits);
}
