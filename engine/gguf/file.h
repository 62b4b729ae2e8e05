// A GGUF file, versions 2 and 3: metadata pairs and tensor directory, every size checked before it is used.
//
//   GgufFile file = TRY(GgufFile::open("model.gguf"));
//   u32 layers = TRY(file.require<u32>("llama.block_count"));
//   const GgufTensor* tensor = file.find_tensor("token_embd.weight");
//
// The file is hostile until proven otherwise. Always holds after open(): every view lies inside the header copy,
// every tensor lies inside the file, on its alignment, on its own bytes; keys and tensor names are unique. Nothing is
// allocated by a count that the file states alone: counts are bounded by the bytes that are there. Errors are
// bad_model (damaged or senseless), unsupported (good, but not for us) or file (cannot be read), one sentence each.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "driver/base.h"
#include "engine/gguf/source.h"
#include "engine/gguf/types.h"

namespace amlm {

enum class GgufValueType : u32 {
  uint8, int8, uint16, int16, uint32, int32, float32, boolean, string, array, uint64, int64, float64
};
std::string_view name(GgufValueType type);
u32 size_of(GgufValueType type);           // bytes of a scalar; 0 for string and array

template <class T> consteval GgufValueType gguf_value_type() {
  if constexpr (std::is_same_v<T, u8>) return GgufValueType::uint8;
  else if constexpr (std::is_same_v<T, i8>) return GgufValueType::int8;
  else if constexpr (std::is_same_v<T, u16>) return GgufValueType::uint16;
  else if constexpr (std::is_same_v<T, i16>) return GgufValueType::int16;
  else if constexpr (std::is_same_v<T, u32>) return GgufValueType::uint32;
  else if constexpr (std::is_same_v<T, i32>) return GgufValueType::int32;
  else if constexpr (std::is_same_v<T, f32>) return GgufValueType::float32;
  else if constexpr (std::is_same_v<T, bool>) return GgufValueType::boolean;
  else if constexpr (std::is_same_v<T, std::string_view>) return GgufValueType::string;
  else if constexpr (std::is_same_v<T, u64>) return GgufValueType::uint64;
  else if constexpr (std::is_same_v<T, i64>) return GgufValueType::int64;
  else return GgufValueType::float64;
}

// A metadata pair. `bytes` is the value as it stands in the file: of a string without its length, of an array the
// elements (strings each with their 8-byte length).
struct GgufPair {
  std::string_view key;
  GgufValueType type = GgufValueType::uint8;
  GgufValueType element_type = GgufValueType::uint8;    // of an array
  u64 count = 0;                                     // of an array
  std::span<const u8> bytes;
};

// A view of an array of scalars in the header copy.
template <class T> class GgufArray {
 public:
  GgufArray() = default;
  GgufArray(const u8* bytes, u64 count) : bytes_(bytes), count_(count) {}
  u64 size() const { return count_; }
  T operator[](u64 index) const {
    check(index < count_, "array index");
    T value;
    std::memcpy(&value, bytes_ + index * sizeof(T), sizeof(T));     // the file aligns nothing
    return value;
  }

 private:
  const u8* bytes_ = nullptr;
  u64 count_ = 0;
};

// A view of an array of strings; walked in order, since their lengths differ.
class GgufStrings {
 public:
  GgufStrings() = default;
  GgufStrings(std::span<const u8> bytes, u64 count) : bytes_(bytes), count_(count) {}
  u64 size() const { return count_; }
  // The string whose 8-byte length stands at `offset_bytes`; `offset_bytes` moves on to the next.
  std::string_view next(u64& offset_bytes) const;

 private:
  std::span<const u8> bytes_;
  u64 count_ = 0;
};

struct GgufTensor {
  std::string_view name;
  const GgufType* type = nullptr;
  u32 dimensions = 0;
  std::array<u64, 4> ne{1, 1, 1, 1};       // ne[0] is contiguous
  u64 file_offset_bytes = 0;               // from the start of the file
  u64 size_bytes = 0;
  u64 row_bytes() const { return ne[0] / type->block_elements * type->block_bytes; }
  u64 rows() const { return ne[1] * ne[2] * ne[3]; }
  std::string shape() const;               // "[256, 4096]"
};

class GgufFile {
 public:
  static constexpr u64 pair_limit = 65'536, tensor_limit = 65'536;

  static Result<GgufFile> open(const std::string& path);
  static Result<GgufFile> parse(std::shared_ptr<ByteSource> source);

  u32 version() const { return version_; }
  const std::string& path() const { return source_->name(); }
  const std::shared_ptr<ByteSource>& source() const { return source_; }
  u64 size_bytes() const { return source_->size_bytes(); }
  const std::vector<GgufPair>& pairs() const { return pairs_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufPair* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;

  // The value of a key that must be there (bad_model otherwise) and have exactly this type.
  template <class T> Result<T> require(std::string_view key) const {
    const GgufPair pair = TRY(require_pair(key));
    return scalar<T>(pair);
  }
  // `fallback` when the key is absent; an error when it is there with another type.
  template <class T> Result<T> get_or(std::string_view key, T fallback) const {
    const GgufPair* pair = find(key);
    if (!pair) return fallback;
    return scalar<T>(*pair);
  }
  template <class T> Result<GgufArray<T>> require_array(std::string_view key) const {
    const GgufPair pair = TRY(require_pair(key));
    TRY_VOID(expect_array(pair, gguf_value_type<T>()));
    return GgufArray<T>(pair.bytes.data(), pair.count);
  }
  Result<GgufStrings> require_strings(std::string_view key) const;
  Result<void> read(const GgufTensor& tensor, u64 offset_bytes, std::span<u8> target) const;

 private:
  friend class GgufParser;
  GgufFile() = default;
  Result<GgufPair> require_pair(std::string_view key) const;
  static Result<void> expect(const GgufPair& pair, GgufValueType type);
  static Result<void> expect_array(const GgufPair& pair, GgufValueType element_type);
  template <class T> static Result<T> scalar(const GgufPair& pair) {
    TRY_VOID(expect(pair, gguf_value_type<T>()));
    if constexpr (std::is_same_v<T, std::string_view>) {
      return T(reinterpret_cast<const char*>(pair.bytes.data()), pair.bytes.size());
    } else if constexpr (std::is_same_v<T, bool>) {
      return pair.bytes[0] != 0;
    } else {
      T value;
      std::memcpy(&value, pair.bytes.data(), sizeof(T));
      return value;
    }
  }

  std::shared_ptr<ByteSource> source_;
  u32 version_ = 0;
  std::vector<GgufPair> pairs_;
  std::vector<GgufTensor> tensors_;
  std::vector<u32> pairs_by_key_, tensors_by_name_;     // sorted
};

}  // namespace amlm
