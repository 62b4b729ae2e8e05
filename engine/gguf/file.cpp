#include "engine/gguf/file.h"

#include <algorithm>

namespace amlm {

std::string_view name(GgufValueType type) {
  static constexpr std::string_view names[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32",
                                               "bool", "string", "array", "u64", "i64", "f64"};
  check(static_cast<u32>(type) < std::size(names), "value type");
  return names[static_cast<u32>(type)];
}

u32 size_of(GgufValueType type) {
  static constexpr u8 sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  check(static_cast<u32>(type) < std::size(sizes), "value type");
  return sizes[static_cast<u32>(type)];
}

std::string_view GgufStrings::next(u64& offset_bytes) const {
  u64 length = 0;
  check(offset_bytes + 8 <= bytes_.size(), "past the end of an array of strings");
  std::memcpy(&length, bytes_.data() + offset_bytes, 8);
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + offset_bytes + 8), length);
  offset_bytes += 8 + length;
  return text;
}

std::string GgufTensor::shape() const {
  std::string out = "[";
  for (u32 i = 0; i < dimensions; ++i) out += (i ? ", " : "") + std::to_string(ne[i]);
  return out + "]";
}

Result<GgufFile> GgufFile::open(const std::string& path) {
  auto source = TRY(ByteSource::open(path));
  return parse(std::move(source));
}

const GgufPair* GgufFile::find(std::string_view key) const {
  const auto at = std::lower_bound(pairs_by_key_.begin(), pairs_by_key_.end(), key,
                                   [&](u32 index, std::string_view wanted) { return pairs_[index].key < wanted; });
  return at != pairs_by_key_.end() && pairs_[*at].key == key ? &pairs_[*at] : nullptr;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto at = std::lower_bound(tensors_by_name_.begin(), tensors_by_name_.end(), name,
                                   [&](u32 index, std::string_view wanted) { return tensors_[index].name < wanted; });
  return at != tensors_by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
}

Result<GgufPair> GgufFile::require_pair(std::string_view key) const {
  if (const GgufPair* pair = find(key)) return *pair;
  return fail(ErrorCode::bad_model, "the model has no metadata key " + quoted(key) +
                                        ", which is needed; convert it again with a current converter");
}

Result<void> GgufFile::expect(const GgufPair& pair, GgufValueType type) {
  if (pair.type == type) return {};
  return fail(ErrorCode::bad_model, "the metadata key " + quoted(pair.key) + " must be of type " +
                                        std::string(amlm::name(type)) + " but is " +
                                        std::string(amlm::name(pair.type)));
}

Result<void> GgufFile::expect_array(const GgufPair& pair, GgufValueType element_type) {
  TRY_VOID(expect(pair, GgufValueType::array));
  if (pair.element_type == element_type) return {};
  return fail(ErrorCode::bad_model, "the metadata key " + quoted(pair.key) + " must be an array of " +
                                        std::string(amlm::name(element_type)) + " but is an array of " +
                                        std::string(amlm::name(pair.element_type)));
}

Result<GgufStrings> GgufFile::require_strings(std::string_view key) const {
  const GgufPair pair = TRY(require_pair(key));
  TRY_VOID(expect_array(pair, GgufValueType::string));
  return GgufStrings(pair.bytes, pair.count);
}

Result<void> GgufFile::read(const GgufTensor& tensor, u64 offset_bytes, std::span<u8> target) const {
  check(offset_bytes <= tensor.size_bytes && target.size() <= tensor.size_bytes - offset_bytes, "tensor range");
  return source_->read(tensor.file_offset_bytes + offset_bytes, target);
}

}  // namespace amlm
