// A file that fills every limit of the header must not cost 100 MB: writes one, reads it, looks at its own peak.
//   header_memory llama|gpt2 FILE
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "engine/model/model.h"

namespace {

using namespace amlm;

struct Writer {
  std::FILE* file;
  template <class T> void put(T value) { std::fwrite(&value, sizeof value, 1, file); }
  void text(const std::string& value) {
    put<u64>(value.size());
    std::fwrite(value.data(), 1, value.size(), file);
  }
  void pair(const char* key, const char* value) {
    text(key);
    put<u32>(8);
    text(value);
  }
  void array(const char* key, u32 type, u64 count) {
    text(key);
    put<u32>(9);
    put(type);
    put(count);
  }
};

std::string token(u32 id) { return id < 256 ? bpe_text_of_byte(static_cast<u8>(id)) : std::to_string(id); }

// As many tokens as allowed, or as many merges as the header has room for.
void write_file(const char* path, bool merges) {
  Writer out{std::fopen(path, "wb")};
  check(out.file != nullptr, "the file can be written");
  const u32 tokens = merges ? 300'000 : Vocabulary::size_limit, joins = merges ? 1'000'000 : 0;
  std::fwrite("GGUF", 4, 1, out.file);
  out.put<u32>(3);
  out.put<u64>(0);
  out.put<u64>(merges ? 4 : 5);
  out.pair("general.architecture", "llama");
  out.pair("tokenizer.ggml.model", merges ? "gpt2" : "llama");
  out.array("tokenizer.ggml.tokens", 8, tokens);
  for (u32 id = 0; id < tokens; ++id) out.text(token(id));
  if (merges) {
    out.array("tokenizer.ggml.merges", 8, joins);
    for (u32 i = 0; i < joins; ++i) out.text(std::to_string(1 + i % 9) + " " + std::to_string(1000 + i % 9000));
  } else {
    out.array("tokenizer.ggml.scores", 6, tokens);
    for (u32 id = 0; id < tokens; ++id) out.put<f32>(0);
    out.array("tokenizer.ggml.token_type", 5, tokens);
    for (u32 id = 0; id < tokens; ++id) out.put<i32>(1);
  }
  std::fclose(out.file);
}

}  // namespace

int main(int argc, char** argv) {
  check(argc == 3, "arguments");
  write_file(argv[2], std::string_view(argv[1]) == "gpt2");
  const auto model = Model::open(argv[2]);
  unlink(argv[2]);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%s\npeak %ld MiB\n", model ? "taken" : model.error().sentence.c_str(), usage.ru_maxrss / 1024);
  return !model && usage.ru_maxrss < 100'000 ? 0 : 1;
}
