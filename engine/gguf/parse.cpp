// The parser of GgufFile. Grammar (little endian), from the GGUF specification of ggml:
//   "GGUF" u32 version, u64 tensors, u64 pairs, pair*, tensor*, padding to the alignment, data
//   pair   = string key, u32 type, value        string = u64 length, bytes
//   value  = scalar | string | u32 element type, u64 count, element*
//   tensor = string name, u32 dimensions, u64 ne[dimensions], u32 type, u64 offset into data
#include <algorithm>
#include <cstring>

#include "engine/gguf/file.h"
#include "engine/tokenizer/utf8.h"

namespace amlm {

namespace {

constexpr u64 key_limit_bytes = 65'535;        // GGUF specification
constexpr u64 tensor_name_limit_bytes = 63;    // GGML_MAX_NAME is 64 with its NUL
constexpr u64 smallest_pair_bytes = 8 + 1 + 4 + 1;
constexpr u64 smallest_tensor_bytes = 8 + 1 + 4 + 8 + 4 + 8;
constexpr u32 dimension_limit = 4;
constexpr u64 alignment_limit_bytes = u64{1} << 20;

std::unexpected<Error> bad(std::string sentence) { return fail(ErrorCode::bad_model, std::move(sentence)); }
std::string at_byte(u64 offset) { return " (byte " + std::to_string(offset) + ")"; }

bool is_tensor_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == ':';
  });
}

}  // namespace

class GgufParser {
 public:
  explicit GgufParser(std::shared_ptr<ByteSource> source) : source_(std::move(source)) {}

  Result<GgufFile> run() {
    GgufFile file;
    file.source_ = source_;
    TRY_VOID(magic_and_version(file));
    const u64 tensors = TRY(number<u64>("the number of tensors"));
    const u64 pairs = TRY(number<u64>("the number of metadata pairs"));
    TRY_VOID(plausible(tensors, GgufFile::tensor_limit, smallest_tensor_bytes, "tensors"));
    TRY_VOID(plausible(pairs, GgufFile::pair_limit, smallest_pair_bytes, "metadata pairs"));
    for (u64 i = 0; i < pairs; ++i) file.pairs_.push_back(TRY(pair(i)));
    TRY_VOID(sort_pairs(file));
    TRY_VOID(not_split(file));
    const u64 alignment = TRY(alignment_of(file));
    for (u64 i = 0; i < tensors; ++i) file.tensors_.push_back(TRY(tensor(i, alignment)));
    TRY_VOID(sort_tensors(file));
    TRY_VOID(place(file, alignment));
    return file;
  }

 private:
  Result<void> need(u64 count, const char* what) {
    const u64 size = source_->size_bytes();
    if (count > size - at_)
      return bad(std::string("the file is truncated: ") + what + at_byte(at_) + " needs " + std::to_string(count) +
                 " bytes, " + std::to_string(size - at_) + " are left; download it again");
    if (at_ + count > ByteSource::header_limit_bytes)
      return fail(ErrorCode::unsupported, std::string("the header is too large: ") + what + at_byte(at_) +
                                              " ends past 32 MiB, the most that amlm reads");
    return source_->load_header(at_ + count);
  }

  template <class T> Result<T> number(const char* what) {
    TRY_VOID(need(sizeof(T), what));
    T value;
    std::memcpy(&value, source_->header() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  Result<std::span<const u8>> bytes(u64 count, const char* what) {
    TRY_VOID(need(count, what));
    const std::span<const u8> view(source_->header() + at_, count);
    at_ += count;
    return view;
  }

  Result<std::string_view> string(const char* what) {
    const u64 length = TRY(number<u64>(what));
    const std::span<const u8> view = TRY(bytes(length, what));
    return std::string_view(reinterpret_cast<const char*>(view.data()), view.size());
  }

  Result<void> magic_and_version(GgufFile& file) {
    const u64 size = source_->size_bytes();
    if (size == 0) return bad("the model file " + quoted(source_->name()) + " is empty; download it again");
    TRY_VOID(need(std::min<u64>(size, 4), "the magic"));
    if (std::memcmp(source_->header(), "GGUF", std::min<u64>(size, 4)) != 0)
      return bad(quoted(source_->name()) + " is not a GGUF file: it does not start with the bytes \"GGUF\"");
    at_ = std::min<u64>(size, 4);
    file.version_ = TRY(number<u32>("the version"));
    if (file.version_ == 2 || file.version_ == 3) return {};
    if (file.version_ != 0 && (file.version_ & 0xffff) == 0)
      return fail(ErrorCode::unsupported, "the file is a big-endian GGUF; get the little-endian one");
    if (file.version_ == 0) return bad("GGUF version 0 does not exist (byte 4); the file is damaged");
    return fail(ErrorCode::unsupported, "GGUF version " + std::to_string(file.version_) +
                                            " (byte 4) is not supported, only 2 and 3; convert the model again");
  }

  Result<void> plausible(u64 count, u64 limit, u64 smallest_bytes, const char* what) {
    const u64 left = source_->size_bytes() - at_;
    if (count > left / smallest_bytes)
      return bad("the header claims " + std::to_string(count) + " " + what + ", but only " + std::to_string(left) +
                 " bytes follow; the file is damaged or truncated");
    if (count > limit)
      return fail(ErrorCode::unsupported, "the header has " + std::to_string(count) + " " + what +
                                              "; amlm reads at most " + std::to_string(limit));
    return {};
  }

  Result<GgufValueType> value_type(std::string_view key) {
    const u64 where = at_;
    const u32 type = TRY(number<u32>("the type of a metadata value"));
    if (type > static_cast<u32>(GgufValueType::float64))
      return bad("the metadata key " + quoted(key) + " has the unknown value type " + std::to_string(type) +
                 at_byte(where));
    return static_cast<GgufValueType>(type);
  }

  Result<GgufPair> pair(u64 index) {
    const u64 where = at_;
    GgufPair out;
    out.key = TRY(string("a metadata key"));
    const std::string which = "metadata key " + std::to_string(index) + at_byte(where);
    if (out.key.empty()) return bad(which + " is empty");
    if (out.key.size() > key_limit_bytes)
      return bad(which + " has " + std::to_string(out.key.size()) + " bytes; at most 65535 are allowed");
    if (out.key.find('\0') != std::string_view::npos || !is_utf8(out.key))
      return bad(which + " is not valid UTF-8 without NUL: " + quoted(out.key));
    out.type = TRY(value_type(out.key));
    if (out.type == GgufValueType::array) {
      TRY_VOID(array(out));
    } else if (out.type == GgufValueType::string) {
      const std::string_view text = TRY(string("a metadata string"));
      out.bytes = {reinterpret_cast<const u8*>(text.data()), text.size()};
    } else {
      out.bytes = TRY(bytes(size_of(out.type), "a metadata value"));
    }
    if (out.type == GgufValueType::boolean && out.bytes[0] > 1)
      return bad("the metadata key " + quoted(out.key) + " is a bool of value " + std::to_string(out.bytes[0]));
    return out;
  }

  Result<void> array(GgufPair& out) {
    out.element_type = TRY(value_type(out.key));
    if (out.element_type == GgufValueType::array)
      return fail(ErrorCode::unsupported, "the metadata key " + quoted(out.key) +
                                              " is an array of arrays, which no model needs" + at_byte(at_ - 4));
    const u64 where = at_;
    out.count = TRY(number<u64>("the length of a metadata array"));
    const bool strings = out.element_type == GgufValueType::string;
    const u64 smallest_bytes = strings ? 8 : size_of(out.element_type);
    const u64 left = source_->size_bytes() - at_;
    if (out.count > left / smallest_bytes)       // also what keeps count * size from wrapping
      return bad("the array " + quoted(out.key) + at_byte(where) + " claims " + std::to_string(out.count) + " " +
                 std::string(amlm::name(out.element_type)) + " elements, but only " + std::to_string(left) +
                 " bytes follow; the file is damaged or truncated");
    if (!strings) {
      out.bytes = TRY(bytes(out.count * smallest_bytes, "a metadata array"));
      return {};
    }
    const u64 start = at_;
    for (u64 i = 0; i < out.count; ++i) TRY(string("a string of a metadata array"));
    out.bytes = {source_->header() + start, at_ - start};
    return {};
  }

  static Result<void> sort_pairs(GgufFile& file) {
    std::vector<u32>& order = file.pairs_by_key_;
    for (u32 i = 0; i < file.pairs_.size(); ++i) order.push_back(i);
    std::sort(order.begin(), order.end(), [&](u32 a, u32 b) { return file.pairs_[a].key < file.pairs_[b].key; });
    for (size_t i = 1; i < order.size(); ++i)
      if (file.pairs_[order[i - 1]].key == file.pairs_[order[i]].key)
        return bad("the metadata key " + quoted(file.pairs_[order[i]].key) + " stands in the file twice");
    return {};
  }

  static Result<void> not_split(const GgufFile& file) {
    const u16 count = TRY(file.get_or<u16>("split.count", 0));
    if (count <= 1) return {};
    const u16 index = TRY(file.get_or<u16>("split.no", 0));
    return fail(ErrorCode::unsupported,
                "the file is part " + std::to_string(u32{index} + 1) + " of a model split into " +
                    std::to_string(count) + " files, which amlm cannot read; join them with llama-gguf-split --merge");
  }

  static Result<u64> alignment_of(const GgufFile& file) {
    const u32 alignment = TRY(file.get_or<u32>("general.alignment", 32));
    // ggml wants a power of two; a multiple of 8 is in the specification. A very large one is only a way to waste.
    if (alignment < 8 || alignment > alignment_limit_bytes || (alignment & (alignment - 1)) != 0)
      return bad("general.alignment is " + std::to_string(alignment) +
                 "; it must be a power of two from 8 to 1048576");
    return u64{alignment};
  }

  Result<GgufTensor> tensor(u64 index, u64 alignment) {
    const u64 where = at_;
    GgufTensor out;
    out.name = TRY(string("a tensor name"));
    if (out.name.empty() || out.name.size() > tensor_name_limit_bytes || !is_tensor_name(out.name))
      return bad("tensor " + std::to_string(index) + at_byte(where) + " has a name that is not allowed: " +
                 quoted(out.name) + " (1 to 63 letters, digits and . _ - :)");
    const std::string which = "tensor " + quoted(out.name);
    out.dimensions = TRY(number<u32>("the number of dimensions"));
    if (out.dimensions < 1 || out.dimensions > dimension_limit)
      return bad(which + " has " + std::to_string(out.dimensions) + " dimensions" + at_byte(at_ - 4) +
                 "; 1 to 4 are possible");
    for (u32 i = 0; i < out.dimensions; ++i) out.ne[i] = TRY(number<u64>("a dimension"));
    const u32 type = TRY(number<u32>("the type of a tensor"));
    out.type = find_gguf_type(type);
    if (!out.type)
      return fail(ErrorCode::unsupported, which + " has the unknown type " + std::to_string(type) + at_byte(at_ - 4));
    if (out.type->removed())
      return fail(ErrorCode::unsupported, which + " has type " + std::string(out.type->name) +
                                              ", which was removed from the format; convert the model again");
    out.file_offset_bytes = TRY(number<u64>("the offset of a tensor"));       // made absolute in place()
    if (out.file_offset_bytes % alignment != 0)
      return bad(which + " lies at offset " + std::to_string(out.file_offset_bytes) +
                 ", which is not a multiple of the alignment " + std::to_string(alignment));
    TRY_VOID(size(out));
    return out;
  }

  static Result<void> size(GgufTensor& out) {
    const std::string which = "tensor " + quoted(out.name);
    u64 elements = 1;
    for (u32 i = 0; i < out.dimensions; ++i) {
      if (out.ne[i] == 0) return bad(which + " has a dimension of 0: " + out.shape());
      if (__builtin_mul_overflow(elements, out.ne[i], &elements) || elements > u64{1} << 60)
        return bad(which + " is impossibly large: " + out.shape());
    }
    if (out.ne[0] % out.type->block_elements != 0)
      return bad(which + " has rows of " + std::to_string(out.ne[0]) + " elements, not a multiple of the " +
                 std::to_string(out.type->block_elements) + " of a block of " + std::string(out.type->name));
    if (__builtin_mul_overflow(elements / out.type->block_elements, u64{out.type->block_bytes}, &out.size_bytes))
      return bad(which + " is impossibly large: " + out.shape());
    return {};
  }

  static Result<void> sort_tensors(GgufFile& file) {
    std::vector<u32>& order = file.tensors_by_name_;
    for (u32 i = 0; i < file.tensors_.size(); ++i) order.push_back(i);
    std::sort(order.begin(), order.end(),
              [&](u32 a, u32 b) { return file.tensors_[a].name < file.tensors_[b].name; });
    for (size_t i = 1; i < order.size(); ++i)
      if (file.tensors_[order[i - 1]].name == file.tensors_[order[i]].name)
        return bad("the tensor " + quoted(file.tensors_[order[i]].name) + " stands in the file twice");
    return {};
  }

  // Offsets become absolute; each tensor must lie inside the file and not on another's bytes.
  Result<void> place(GgufFile& file, u64 alignment) const {
    const u64 size = source_->size_bytes();
    const u64 data_start = (at_ + alignment - 1) & ~(alignment - 1);     // at_ <= 32 MiB: cannot wrap
    const u64 data_bytes = size > data_start ? size - data_start : 0;
    std::vector<u32> order;
    for (u32 i = 0; i < file.tensors_.size(); ++i) {
      GgufTensor& tensor = file.tensors_[i];
      if (tensor.file_offset_bytes > data_bytes || tensor.size_bytes > data_bytes - tensor.file_offset_bytes)
        return bad("tensor " + quoted(tensor.name) + " lies outside the file: " + std::to_string(tensor.size_bytes) +
                   " bytes at " + std::to_string(tensor.file_offset_bytes) + " of the data, which has " +
                   std::to_string(data_bytes) + "; the download is incomplete or the file damaged");
      tensor.file_offset_bytes += data_start;
      order.push_back(i);
    }
    std::sort(order.begin(), order.end(), [&](u32 a, u32 b) {
      return file.tensors_[a].file_offset_bytes < file.tensors_[b].file_offset_bytes;
    });
    for (size_t i = 1; i < order.size(); ++i) {
      const GgufTensor& before = file.tensors_[order[i - 1]];
      const GgufTensor& after = file.tensors_[order[i]];
      if (before.file_offset_bytes + before.size_bytes > after.file_offset_bytes)
        return bad("the tensors " + quoted(before.name) + " and " + quoted(after.name) + " overlap in the file");
    }
    return {};
  }

  std::shared_ptr<ByteSource> source_;
  u64 at_ = 0;
};

Result<GgufFile> GgufFile::parse(std::shared_ptr<ByteSource> source) { return GgufParser(std::move(source)).run(); }

}  // namespace amlm
