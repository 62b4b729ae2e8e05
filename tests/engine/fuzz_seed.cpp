// Writes the seeds of the fuzzers: a whole small model, and some texts.  fuzz_seed FOLDER
#include <filesystem>
#include <fstream>

#include "tests/engine/gguf_builder.h"

int main(int argc, char** argv) {
  using namespace amlm::tests;
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder / "gguf");
  std::filesystem::create_directories(folder / "text");
  const Bytes model = tiny_llama().build();
  std::ofstream(folder / "gguf" / "tiny", std::ios::binary)
      .write(reinterpret_cast<const char*>(model.data()), static_cast<std::streamsize>(model.size()));
  std::ofstream(folder / "text" / "mixed") << "abc <s> It's 123\n\n  \xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80\xff abab";
  return 0;
}
