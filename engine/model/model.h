// A model as its file describes it: configuration, tokenizer, and where each weight stands. No weight is read yet.
//
//   auto model = TRY(Model::open("model.gguf"));
//
// Always holds after open(): every tensor the forward pass needs is there, with the shape the configuration asks for
// and a type that a kernel has; there is no tensor in the file that the forward pass would leave out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "driver/base.h"
#include "engine/gguf/file.h"
#include "engine/model/config.h"
#include "engine/tokenizer/tokenizer.h"
#include "kernels/kernels.h"

namespace amlm {

// Weight of a kernel: a matrix of [rows][columns], or a vector (rows 1).
struct Weight {
  const GgufTensor* tensor = nullptr;      // of the model's file, alive as long as the model
  kernels::WeightType type = kernels::WeightType::f32;
  u32 rows = 0, columns = 0;
};

struct LayerWeights {
  Weight attn_norm, wq, wk, wv, wo, ffn_norm, gate, up, down;
};

class Model {
 public:
  static Result<std::unique_ptr<Model>> open(const std::string& path);
  static Result<std::unique_ptr<Model>> load(GgufFile file);

  const GgufFile& file() const { return file_; }
  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::vector<LayerWeights>& layers() const { return layers_; }
  const Weight& embedding() const { return embedding_; }
  const Weight& output_norm() const { return output_norm_; }
  // The embedding itself when the file has no output.weight (tied).
  const Weight& output() const { return output_; }
  bool output_is_tied() const { return output_.tensor == embedding_.tensor; }
  // f32[rope_dimensions / 2], frequencies are divided by them (Llama 3.1); no tensor when absent.
  const Weight& rope_factors() const { return rope_factors_; }

 private:
  explicit Model(GgufFile file) : file_(std::move(file)) {}
  Result<void> find_weights();

  GgufFile file_;
  ModelConfig config_;
  Tokenizer tokenizer_;
  std::vector<LayerWeights> layers_;
  Weight embedding_, output_norm_, output_, rope_factors_;
};

// Null when no kernel reads this type.
const kernels::WeightType* weight_type(const GgufType& type);

}  // namespace amlm
