#include "engine/model/model.h"

#include <algorithm>

namespace amlm {

namespace {

struct Shape { u32 rows, columns; };

std::string shape_text(Shape shape) {
  return std::string("[") + std::to_string(shape.columns) + ", " + std::to_string(shape.rows) + "]";
}

// Finds tensors and keeps count of those found, so that what is left over can be named.
class Finder {
 public:
  explicit Finder(const GgufFile& file) : file_(file) {}

  Result<Weight> matrix(const std::string& name, Shape shape) {
    const GgufTensor* tensor = file_.find_tensor(name);
    if (!tensor) return missing(name);
    if (tensor->dimensions != 2 || tensor->ne[0] != shape.columns || tensor->ne[1] != shape.rows)
      return fail(ErrorCode::bad_model, "tensor " + quoted(name) + " has the shape " + tensor->shape() +
                                            "; the metadata ask for " + shape_text(shape));
    const kernels::WeightType* type = weight_type(*tensor->type);
    if (!type)
      return fail(ErrorCode::unsupported, "tensor " + quoted(name) + " is " + std::string(tensor->type->name) +
                                              "; amlm runs F32, F16, BF16, Q8_0, Q4_0, Q4_K and Q6_K");
    ++found_;
    return Weight{tensor, *type, shape.rows, shape.columns};
  }

  Result<Weight> vector(const std::string& name, u32 size) {
    const GgufTensor* tensor = file_.find_tensor(name);
    if (!tensor) return missing(name);
    if (tensor->rows() != 1 || tensor->ne[0] != size)
      return fail(ErrorCode::bad_model, "tensor " + quoted(name) + " has the shape " + tensor->shape() +
                                            "; the metadata ask for [" + std::to_string(size) + "]");
    if (tensor->type->id != gguf_type_id::f32)
      return fail(ErrorCode::unsupported, "tensor " + quoted(name) + " is " + std::string(tensor->type->name) +
                                              "; amlm reads F32 here");
    ++found_;
    return Weight{tensor, kernels::WeightType::f32, 1, size};
  }

  u64 found() const { return found_; }

 private:
  static std::unexpected<Error> missing(const std::string& name) {
    return fail(ErrorCode::bad_model, "the model has no tensor " + quoted(name) +
                                          "; the download is incomplete or the conversion went wrong");
  }
  const GgufFile& file_;
  u64 found_ = 0;
};

}  // namespace

const kernels::WeightType* weight_type(const GgufType& type) {
  using kernels::WeightType;
  struct Row { u32 id; WeightType type; };
  static constexpr Row rows[] = {{gguf_type_id::f32, WeightType::f32},   {gguf_type_id::f16, WeightType::f16},
                                 {gguf_type_id::bf16, WeightType::bf16}, {gguf_type_id::q8_0, WeightType::q8_0},
                                 {gguf_type_id::q4_0, WeightType::q4_0}, {gguf_type_id::q4_k, WeightType::q4_k},
                                 {gguf_type_id::q6_k, WeightType::q6_k}};
  for (const Row& row : rows)
    if (row.id == type.id) return &row.type;
  return nullptr;
}

Result<std::unique_ptr<Model>> Model::open(const std::string& path) {
  GgufFile file = TRY(GgufFile::open(path));
  return load(std::move(file));
}

Result<std::unique_ptr<Model>> Model::load(GgufFile file) {
  std::unique_ptr<Model> model(new Model(std::move(file)));
  // The architecture first: that of a model for another engine is worth more than what its tokenizer lacks.
  const auto architecture = TRY(model->file_.require<std::string_view>("general.architecture"));
  if (architecture == "llama") model->tokenizer_ = TRY(Tokenizer::load(model->file_));
  const u32 tokens = architecture == "llama" ? model->tokenizer_.vocabulary().size() : 0;
  model->config_ = TRY(read_config(model->file_, tokens));
  TRY_VOID(model->find_weights());
  return model;
}

Result<void> Model::find_weights() {
  const ModelConfig& c = config_;
  Finder find(file_);
  embedding_ = TRY(find.matrix("token_embd.weight", {c.vocabulary, c.embedding}));
  output_norm_ = TRY(find.vector("output_norm.weight", c.embedding));
  output_ = embedding_;
  if (file_.find_tensor("output.weight")) output_ = TRY(find.matrix("output.weight", {c.vocabulary, c.embedding}));
  if (file_.find_tensor("rope_freqs.weight"))
    rope_factors_ = TRY(find.vector("rope_freqs.weight", c.rope_dimensions / 2));
  for (u32 i = 0; i < c.layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    LayerWeights w;
    w.attn_norm = TRY(find.vector(layer + "attn_norm.weight", c.embedding));
    w.wq = TRY(find.matrix(layer + "attn_q.weight", {c.q_rows(), c.embedding}));
    w.wk = TRY(find.matrix(layer + "attn_k.weight", {c.kv_rows(), c.embedding}));
    w.wv = TRY(find.matrix(layer + "attn_v.weight", {c.kv_rows(), c.embedding}));
    w.wo = TRY(find.matrix(layer + "attn_output.weight", {c.embedding, c.q_rows()}));
    w.ffn_norm = TRY(find.vector(layer + "ffn_norm.weight", c.embedding));
    w.gate = TRY(find.matrix(layer + "ffn_gate.weight", {c.feed_forward, c.embedding}));
    w.up = TRY(find.matrix(layer + "ffn_up.weight", {c.feed_forward, c.embedding}));
    w.down = TRY(find.matrix(layer + "ffn_down.weight", {c.embedding, c.feed_forward}));
    layers_.push_back(w);
  }
  if (find.found() == file_.tensors().size()) return {};
  // A weight that is left out (a bias, a layer too many) would quietly give other text.
  const auto is_used = [&](const GgufTensor& tensor) {
    const auto is = [&](const Weight& weight) { return weight.tensor == &tensor; };
    const auto in_layer = [&](const LayerWeights& w) {
      return is(w.attn_norm) || is(w.wq) || is(w.wk) || is(w.wv) || is(w.wo) || is(w.ffn_norm) || is(w.gate) ||
             is(w.up) || is(w.down);
    };
    return is(embedding_) || is(output_norm_) || is(output_) || is(rope_factors_) ||
           std::any_of(layers_.begin(), layers_.end(), in_layer);
  };
  for (const GgufTensor& tensor : file_.tensors())
    if (!is_used(tensor))
      return fail(ErrorCode::unsupported, "the model has a tensor that amlm does not use: " + quoted(tensor.name) +
                                              "; running without it would give wrong text");
  return {};
}

}  // namespace amlm
