// Makes GGUF files in memory, good ones and broken ones.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "driver/base.h"
#include "engine/gguf/file.h"

namespace amlm::tests {

class Bytes : public std::vector<u8> {
 public:
  template <class T> Bytes& put(T value) {
    const size_t at = size();
    resize(at + sizeof value);
    std::memcpy(data() + at, &value, sizeof value);
    return *this;
  }
  Bytes& text(std::string_view value) {
    put<u64>(value.size());
    insert(end(), value.begin(), value.end());
    return *this;
  }
};

struct GgufBuilder {
  struct Pair { std::string key; u32 type = 0; Bytes value; };
  struct Tensor {
    std::string name;
    std::vector<u64> ne;
    u32 type = 0;
    Bytes data;
    std::optional<u64> offset, size_of_name;
    std::optional<u32> dimensions;
  };
  std::string magic = "GGUF";
  u32 version = 3;
  std::optional<u64> pair_count, tensor_count;      // instead of the true ones
  u64 alignment = 32;                               // of the data; general.alignment is a pair like others
  std::vector<Pair> pairs;
  std::vector<Tensor> tensors;

  GgufBuilder& set(const std::string& key, u32 type, Bytes value);
  template <class T> GgufBuilder& set(const std::string& key, T value) {
    return set(key, static_cast<u32>(gguf_value_type<T>()), Bytes().put(value));
  }
  GgufBuilder& set_text(const std::string& key, std::string_view value) {
    return set(key, static_cast<u32>(GgufValueType::string), Bytes().text(value));
  }
  template <class T> GgufBuilder& set_array(const std::string& key, const std::vector<T>& values) {
    Bytes bytes;
    bytes.put(static_cast<u32>(gguf_value_type<T>())).template put<u64>(values.size());
    for (const T value : values) bytes.put(value);
    return set(key, static_cast<u32>(GgufValueType::array), bytes);
  }
  GgufBuilder& set_strings(const std::string& key, const std::vector<std::string>& values);
  GgufBuilder& remove(const std::string& key);
  Tensor& tensor(const std::string& name);          // check: there
  GgufBuilder& add(const std::string& name, std::vector<u64> ne, u32 type, Bytes data);

  Bytes build() const;
  u64 header_bytes() const;                         // of build(): where the data starts
  std::vector<std::string> token_texts;             // of tiny_llama()
};

// A whole model of one layer (width 32, one head of 32, 264 tokens), F32, random weights: everything in it is good.
GgufBuilder tiny_llama(u32 seed = 1);

}  // namespace amlm::tests
