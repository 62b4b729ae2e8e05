// libFuzzer target: any bytes as a GGUF file. What parses is also asked for everything a model needs.
#include "engine/model/model.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  using namespace amlm;
  auto file = GgufFile::parse(ByteSource::from_bytes({data, size}, "fuzz"));
  if (!file) {
    check(!file.error().sentence.empty() && file.error().sentence.find('\n') == std::string::npos, "one sentence");
    return 0;
  }
  const auto model = Model::load(*std::move(file));
  if (!model) {
    check(!model.error().sentence.empty(), "a sentence");
    return 0;
  }
  u8 byte = 0;
  for (const GgufTensor& tensor : (*model)->file().tensors())
    check((*model)->file().read(tensor, tensor.size_bytes - 1, {&byte, 1}).has_value(), "the last byte of a tensor");
  (void)(*model)->tokenizer().encode("Once upon a time <s>\n", {.special = SpecialText::tokens});
  return 0;
}
