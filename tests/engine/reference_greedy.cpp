// The plain forward pass against llama.cpp: file, tokenizer, configuration and block layouts, with no GPU in between.
//   reference_greedy MODEL REFERENCE_JSON [TOKENS [PROMPTS]]
//   reference_greedy --gaps REFERENCE_JSON FOLDER     writes tests/e2e/exact_gaps.json to stdout: for each prompt and
//     file, the difference between the two best logits where the ids are llama.cpp's
// Compares the prompt ids and the first TOKENS greedy ids; a first difference is let pass only where the reference's
// own two best candidates are closer than 0.05 (llama.cpp rounds activations to 8 bits on the CPU).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/model/model.h"
#include "tests/reference/llama.h"

namespace amlm {

namespace {

constexpr f64 gap_limit = 0.05;

// Number of the first id that differs where it may not, or -1.
int compare(reference::Llama& llama, const std::vector<u32>& prompt, const std::vector<u32>& wanted,
            const std::vector<f64>& gaps, size_t count) {
  llama.reset();
  std::vector<f32> logits;
  for (const u32 id : prompt) logits = llama.step(id);
  for (size_t i = 0; i < std::min(count, wanted.size()); ++i) {
    const u32 id = reference::argmax(logits);
    if (id != wanted[i]) {
      std::printf("  id %zu is %u, llama.cpp has %u, its gap there is %.4f\n", i, id, wanted[i], gaps[i]);
      return gaps[i] < gap_limit ? -1 : static_cast<int>(i);
    }
    logits = llama.step(id);
  }
  return -1;
}

// Best logit less the second best, at each of the wanted ids.
std::vector<f64> exact_gaps(reference::Llama& llama, const std::vector<u32>& prompt, const std::vector<u32>& wanted) {
  llama.reset();
  std::vector<f32> logits;
  for (const u32 id : prompt) logits = llama.step(id);
  std::vector<f64> gaps;
  for (const u32 id : wanted) {
    auto sorted = logits;
    std::ranges::nth_element(sorted, sorted.begin() + 1, std::greater<>());
    gaps.push_back(std::round((static_cast<f64>(sorted[0]) - sorted[1]) * 1e5) / 1e5);
    logits = llama.step(id);
  }
  return gaps;
}

Result<int> write_gaps(const std::string& json_path, const std::filesystem::path& folder) {
  std::ifstream stream(json_path);
  const auto json = nlohmann::json::parse(stream);
  nlohmann::json out = nlohmann::json::array();
  for (const auto& entry : json["greedy"]) {
    auto model = TRY(Model::open(folder / entry["file"].get<std::string>()));
    auto llama = TRY(reference::Llama::load(*model));
    out.push_back({{"file", entry["file"]}, {"prompt", entry["prompt"]},
                   {"exact_gaps", exact_gaps(llama, entry["prompt_ids"].get<std::vector<u32>>(),
                                             entry["ids"].get<std::vector<u32>>())}});
  }
  std::printf("%s\n", out.dump().c_str());
  return 0;
}

Result<int> run(const std::string& path, const std::string& json_path, size_t count, size_t prompts) {
  auto model = TRY(Model::open(path));
  auto llama = TRY(reference::Llama::load(*model));
  std::ifstream stream(json_path);
  const auto json = nlohmann::json::parse(stream);
  const std::string file = std::filesystem::path(path).filename();
  int failures = 0;
  size_t seen = 0;
  for (const auto& entry : json["greedy"]) {
    if (entry["file"] != file || seen >= prompts) continue;
    ++seen;
    const auto prompt = entry["prompt_ids"].get<std::vector<u32>>();
    const auto ids = TRY(model->tokenizer().encode(entry["prompt"].get<std::string>()));
    if (ids != prompt) {
      std::printf("%s: other prompt ids\n", entry["prompt"].get<std::string>().c_str());
      ++failures;
    }
    if (compare(llama, prompt, entry["ids"].get<std::vector<u32>>(), entry["gaps"].get<std::vector<f64>>(), count) >= 0)
      ++failures;
  }
  std::printf("%s: %zu prompts, %d failures\n", file.c_str(), seen, failures);
  return seen == 0 ? 1 : failures;
}

}  // namespace

}  // namespace amlm

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::string model = argv[1];
  if (model == "--gaps" && argc == 4) {
    auto written = amlm::write_gaps(argv[2], argv[3]);
    if (!written) std::fprintf(stderr, "%s\n", written.error().sentence.c_str());
    return written ? 0 : 1;
  }
  const std::filesystem::path demo = std::filesystem::path(argv[2]).parent_path();
  const char* given = std::getenv("AMLM_DEMO_MODELS");
  for (const auto& folder : {demo, std::filesystem::path(given ? given : ""), demo / "../../../shared/demo-model"})
    if (!std::filesystem::exists(model) && !folder.empty() && std::filesystem::exists(folder / argv[1]))
      model = folder / argv[1];
  if (!std::filesystem::exists(model)) {
    std::printf("skipped: %s is not here\n", argv[1]);
    return 77;
  }
  auto result = amlm::run(model, argv[2], argc > 3 ? std::stoul(argv[3]) : 64, argc > 4 ? std::stoul(argv[4]) : 100);
  if (!result) std::printf("%s\n", result.error().sentence.c_str());
  return result && *result == 0 ? 0 : 1;
}
