// Damaged and hostile GGUF files: each gives one clear sentence and its code, never a crash. Built with ASan and UBSan.
// The numbers are those of the list of bad inputs in the test names.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "engine/model/model.h"
#include "tests/engine/gguf_builder.h"
#include "tests/seed.h"

using namespace amlm;
using namespace amlm::tests;

namespace {

// The sentence is one line for a person and says what was asked for.
void require_error(const Error& error, ErrorCode code, std::string_view part) {
  INFO(error.sentence);
  REQUIRE(static_cast<int>(error.code) == static_cast<int>(code));
  REQUIRE(error.sentence.find(part) != std::string::npos);
  REQUIRE(error.sentence.find('\n') == std::string::npos);
  REQUIRE(error.sentence.size() < 600);
}

Result<std::unique_ptr<Model>> load(const Bytes& bytes) {
  return [&]() -> Result<std::unique_ptr<Model>> {
    GgufFile file = TRY(GgufFile::parse(ByteSource::from_bytes(bytes, "test")));
    return Model::load(std::move(file));
  }();
}

void refused(const Bytes& bytes, ErrorCode code, std::string_view part) {
  const Bytes exact = bytes;            // ASan guards the end of this very allocation
  const auto model = load(exact);
  REQUIRE_FALSE(model.has_value());
  require_error(model.error(), code, part);
}

void refused(const GgufBuilder& builder, ErrorCode code, std::string_view part) {
  refused(builder.build(), code, part);
}

void refused_path(const std::string& path, std::string_view part) {
  const auto model = Model::open(path);
  REQUIRE_FALSE(model.has_value());
  require_error(model.error(), ErrorCode::file, part);
}

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/amlm-test-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { REQUIRE(std::system(("rm -rf " + path).c_str()) == 0); }
  std::string write(const char* name, const Bytes& bytes) const {
    const std::string file = path + "/" + name;
    const int fd = open(file.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    REQUIRE(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    close(fd);
    return file;
  }
};

constexpr auto bad = ErrorCode::bad_model;
constexpr auto unsupported = ErrorCode::unsupported;

}  // namespace

TEST_CASE("a good file is taken") {
  const Bytes bytes = tiny_llama().build();
  const auto model = load(bytes);
  INFO((model ? "" : model.error().sentence));
  REQUIRE(model.has_value());
  REQUIRE((*model)->config().vocabulary == 264);
  REQUIRE((*model)->output_is_tied());
}

TEST_CASE("1-5 empty, short, magic, byte order, version") {
  refused(Bytes(), bad, "empty");
  refused(Bytes().put<u8>('G'), bad, "truncated");
  GgufBuilder builder = tiny_llama();
  builder.magic = "GGML";
  refused(builder, bad, "not a GGUF");
  builder.magic = "GGUF";
  builder.version = 0x03000000;
  refused(builder, unsupported, "big-endian");
  builder.version = 0;
  refused(builder, bad, "version 0");
  for (const u32 version : {1u, 4u, ~0u}) {
    builder.version = version;
    refused(builder, unsupported, "version " + std::to_string(version));
  }
  builder.version = 2;
  REQUIRE(load(builder.build()).has_value());
}

TEST_CASE("6-7 impossible counts") {
  for (const u64 count : {u64{1} << 63, ~u64{0}, u64{1} << 40, u64{1000}}) {
    GgufBuilder builder = tiny_llama();
    builder.pair_count = count;
    refused(builder, bad, "");
    builder.pair_count.reset();
    builder.tensor_count = count;
    refused(builder, bad, "");
  }
  GgufBuilder builder = tiny_llama();
  builder.pair_count = u64{1} << 63;
  refused(builder, bad, "claims 9223372036854775808 metadata pairs");
}

TEST_CASE("8-10 strings and keys") {
  GgufBuilder builder = tiny_llama();
  for (const u64 length : {~u64{0}, u64{builder.build().size() + 1}, u64{1} << 63}) {
    builder.set("broken", static_cast<u32>(GgufValueType::string), Bytes().put(length));
    refused(builder, bad, "truncated");
  }
  for (const std::string& key : {std::string("a\xff"), std::string("a\0b", 3), std::string(),
                                 std::string("\xed\xa0\x80"), std::string(65536, 'k')}) {
    GgufBuilder other = tiny_llama();
    other.set<u32>(key, 1);
    refused(other, bad, "metadata key 17");
  }
  GgufBuilder twice = tiny_llama();
  twice.pairs.push_back(twice.pairs[2]);
  refused(twice, bad, "twice");
}

TEST_CASE("11-14 value types and arrays") {
  for (const u32 type : {13u, 255u, ~0u}) {
    GgufBuilder builder = tiny_llama();
    refused(builder.set("odd", type, Bytes().put<u64>(0)), bad, "unknown value type " + std::to_string(type));
  }
  GgufBuilder nested = tiny_llama();
  Bytes deep;
  for (u32 i = 0; i < 10'000; ++i) deep.put<u32>(9).put<u64>(1);
  refused(nested.set("deep", 9, deep), unsupported, "array of arrays");
  for (const u32 type : {0u, 4u, 8u, 10u})
    for (const u64 count : {~u64{0}, u64{1} << 61, u64{1} << 31, u64{1} << 62}) {
      GgufBuilder builder = tiny_llama();
      refused(builder.set("long", 9, Bytes().put<u32>(type).put(count)), bad, "claims " + std::to_string(count));
    }
  GgufBuilder boolean = tiny_llama();
  refused(boolean.set("flag", 7, Bytes().put<u8>(2)), bad, "bool of value 2");
}

TEST_CASE("15-16 types other than expected, alignments") {
  GgufBuilder kinds = tiny_llama();
  refused(kinds.set_array<u8>("tokenizer.ggml.token_type", std::vector<u8>(264, 1)), bad, "array of i32");
  GgufBuilder text = tiny_llama();
  refused(text.set_text("llama.block_count", "one"), bad, "must be of type u32 but is string");
  GgufBuilder number = tiny_llama();
  refused(number.set<u32>("general.architecture", 1), bad, "must be of type string");
  GgufBuilder alignment = tiny_llama();
  refused(alignment.set<i32>("general.alignment", 32), bad, "must be of type u32");
  refused(alignment.set<f32>("general.alignment", 32), bad, "must be of type u32");
  refused(alignment.set_text("general.alignment", "32"), bad, "must be of type u32");
  for (const u32 value : {0u, 1u, 3u, 24u, 1u << 30})
    refused(alignment.set<u32>("general.alignment", value), bad, "power of two");
  refused(alignment.set<u64>("general.alignment", u64{1} << 63), bad, "must be of type u32");
  alignment.alignment = 256;
  REQUIRE(load(alignment.set<u32>("general.alignment", 256).build()).has_value());
}

TEST_CASE("17-18 dimensions") {
  const auto with = [](auto change) {
    GgufBuilder builder = tiny_llama();
    change(builder.tensor("blk.0.attn_q.weight"));
    return builder;
  };
  for (const u32 count : {0u, 5u, 1u << 31})
    refused(with([&](auto& t) { t.dimensions = count; }), bad, std::to_string(count) + " dimensions");
  refused(with([](auto& t) { t.ne = {32, 0}; }), bad, "dimension of 0");
  refused(with([](auto& t) { t.ne = {32, ~u64{0}}; }), bad, "impossibly large");
  refused(with([](auto& t) { t.ne = {u64{1} << 62, 4}; }), bad, "impossibly large");
  refused(with([](auto& t) { t.ne = {u64{1} << 32, u64{1} << 32}; }), bad, "impossibly large");
  refused(with([](auto& t) { t.ne = {u64{1} << 59, 1}; }), bad, "outside the file");
  refused(with([](auto& t) { t.ne = {32, 16}; }), bad, "ask for [32, 32]");
  refused(with([](auto& t) { t.ne = {16, 64}; }), bad, "ask for [32, 32]");
  refused(with([](auto& t) { t.ne = {32, 32, 1}; }), bad, "ask for [32, 32]");
}

TEST_CASE("19-20 tensor types and blocks") {
  const auto with = [](u32 type) {
    GgufBuilder builder = tiny_llama();
    builder.tensor("blk.0.attn_q.weight").type = type;
    return builder;
  };
  for (const u32 type : {4u, 5u, 36u, 37u, 38u}) refused(with(type), unsupported, "removed");
  for (const u32 type : {43u, 255u, ~0u}) refused(with(type), unsupported, "unknown type " + std::to_string(type));
  refused(with(39), unsupported, "is MXFP4");
  refused(with(3), unsupported, "is Q4_1");
  refused(with(12), bad, "not a multiple of the 256");
  refused(with(40), bad, "not a multiple of the 64");
}

TEST_CASE("21-22 offsets and names") {
  const auto at = [](u64 offset) {
    GgufBuilder builder = tiny_llama();
    builder.tensor("blk.0.attn_q.weight").offset = offset;
    return builder;
  };
  refused(at(33), bad, "alignment");
  refused(at(u64{1} << 40), bad, "outside the file");
  refused(at(~u64{0} - 63), bad, "outside the file");
  refused(at(u64{1} << 63), bad, "outside the file");
  refused(at(0), bad, "overlap");
  for (const std::string& name : {std::string(64, 'n'), std::string("../x"), std::string(), std::string("a\nb")}) {
    GgufBuilder builder = tiny_llama();
    builder.add(name, {32}, 0, Bytes().put<u32>(0));
    refused(builder, bad, "name that is not allowed");
  }
  GgufBuilder twice = tiny_llama();
  twice.tensors.push_back(twice.tensor("output_norm.weight"));
  refused(twice, bad, "twice");
}

TEST_CASE("23 truncated anywhere") {
  const GgufBuilder builder = tiny_llama();
  const Bytes whole = builder.build();
  const u64 header = builder.header_bytes();
  const u32 seed = static_cast<u32>(test_seed(1));
  std::mt19937 random(seed);
  INFO("seed " << seed);
  const auto cut = [&](u64 size) {
    Bytes part;
    part.assign(whole.begin(), whole.begin() + static_cast<i64>(size));
    part.shrink_to_fit();
    const auto model = load(part);
    INFO("cut at " << size);
    REQUIRE_FALSE(model.has_value());
    REQUIRE(static_cast<int>(model.error().code) == static_cast<int>(bad));
  };
  for (u64 size = 0; size <= header; ++size) cut(size);
  for (u32 i = 0; i < 200; ++i) cut(header + random() % (whole.size() - header - 128));
}

TEST_CASE("23 flipped bytes are refused or taken, never worse") {
  const GgufBuilder builder = tiny_llama();
  const Bytes whole = builder.build();
  const u64 header = builder.header_bytes();
  const u32 seed = static_cast<u32>(test_seed(2));
  std::mt19937 random(seed);
  INFO("seed " << seed);
  u32 errors = 0;
  for (u32 i = 0; i < 4000; ++i) {
    Bytes copy = whole;
    for (u32 n = 0; n <= random() % 3; ++n) copy[random() % header] = static_cast<u8>(random());
    errors += !load(copy).has_value();
  }
  REQUIRE(errors > 1000);
}

TEST_CASE("24 a file that shrinks while it is read") {
  const Folder folder;
  const Bytes bytes = tiny_llama().build();
  const std::string path = folder.write("model.gguf", bytes);
  const auto model = Model::open(path);
  REQUIRE(model.has_value());
  REQUIRE(truncate(path.c_str(), 4096) == 0);
  std::vector<u8> target((*model)->layers()[0].down.tensor->size_bytes);
  const auto read = (*model)->file().read(*(*model)->layers()[0].down.tensor, 0, target);
  REQUIRE_FALSE(read.has_value());
  require_error(read.error(), ErrorCode::file, "became shorter");
}

TEST_CASE("25-26 what is not a model file") {
  const Folder folder;
  refused_path(folder.path, "a directory");
  refused_path(folder.path + "/none", "no such file");
  REQUIRE(mkfifo((folder.path + "/fifo").c_str(), 0600) == 0);
  refused_path(folder.path + "/fifo", "a pipe");
  refused_path("/dev/zero", "a device");
  REQUIRE(symlink("loop", (folder.path + "/loop").c_str()) == 0);
  refused_path(folder.path + "/loop", "symbolic links");
  refused_path(std::string("a\0b", 3), "NUL");
  refused_path(std::string(5000, 'x'), "too long");
  if (geteuid() != 0) {
    const std::string path = folder.write("secret", tiny_llama().build());
    REQUIRE(chmod(path.c_str(), 0) == 0);
    refused_path(path, "may not read");
  }
  for (const u16 count : {u16{3}, u16{65535}}) {
    GgufBuilder split = tiny_llama();
    refused(split.set<u16>("split.count", count).set<u16>("split.no", 1), unsupported,
            "part 2 of a model split into " + std::to_string(count));
  }
  const std::string sparse = folder.write("sparse", Bytes());
  if (truncate(sparse.c_str(), i64{1} << 40) == 0) {
    const auto model = Model::open(sparse);
    REQUIRE_FALSE(model.has_value());
    require_error(model.error(), bad, "not a GGUF");
    // A terabyte of zeros behind a good header is no reason to allocate.
    const Bytes good = tiny_llama().build();
    const int fd = open(sparse.c_str(), O_WRONLY);
    REQUIRE(write(fd, good.data(), good.size()) == static_cast<ssize_t>(good.size()));
    close(fd);
    REQUIRE(Model::open(sparse).has_value());
  }
}

TEST_CASE("a header that is larger than the limit") {
  GgufBuilder builder = tiny_llama();
  Bytes large;
  large.text(std::string(40 << 20, 'x'));
  refused(builder.set("large", static_cast<u32>(GgufValueType::string), large), unsupported, "32 MiB");
}

