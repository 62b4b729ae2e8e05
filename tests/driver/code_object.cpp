// The code object loader: what it reads, and that no damage makes it crash or lie.
#include <catch2/catch.hpp>
#include <cstring>
#include <elf.h>
#include <random>

#include "driver/code_object.h"
#include "tests/seed.h"
#include "tests/driver/tiny.h"

using namespace amlm;

namespace {

std::string refusal(const std::vector<u8>& file) {
  const auto image = parse_code_object(file);
  return image ? "" : image.error().sentence;
}

// Of the one kernel that the file's change is about; the others stay.
std::string kernel_refusal(const std::vector<u8>& file) {
  const auto image = parse_code_object(file);
  REQUIRE(image);
  CHECK(image->kernels.size() + image->refused.size() == 3);
  return image->refused.empty() ? "" : image->refused.front().second.sentence;
}

// Where the descriptor of `count` lies in the file: in the first segment, whose address is its offset.
constexpr std::size_t count_descriptor = 0x440;

template <class T>
std::vector<u8> with(std::size_t offset, T value) {
  auto file = tiny_code_object();
  REQUIRE(offset + sizeof value <= file.size());
  std::memcpy(file.data() + offset, &value, sizeof value);
  return file;
}

}  // namespace

TEST_CASE("a code object's kernels and symbols") {
  const auto image = parse_code_object(tiny_code_object());
  REQUIRE(image);
  REQUIRE(image->kernels.size() == 3);
  const Kernel& count = image->kernels[0];
  CHECK(count.name == "count");
  CHECK(count.code_va % 256 == 0);
  CHECK(count.code_bytes == 40);
  CHECK(count.kernarg_bytes == 16);
  CHECK(count.group_lanes == 64);
  CHECK(count.wave_lanes == 32);
  CHECK(count.lds_bytes == 0);
  CHECK((count.rsrc2 & 0x3f) == 2 << 1);
  CHECK(image->kernels[1].name == "forever");
  CHECK(image->kernels[2].name == "increment");
  // s_load_b128 s[4:7], s[0:1], 0 (llvm-mc)
  const u8 first[] = {0x00, 0x01, 0x08, 0xf4, 0x00, 0x00, 0x00, 0xf8};
  REQUIRE(image->bytes.size() > count.code_va + sizeof first);
  CHECK(std::memcmp(image->bytes.data() + count.code_va, first, sizeof first) == 0);
  CHECK(image->bytes.size() >= image->kernels[1].code_va + image->kernels[1].code_bytes + 256);
  for (std::size_t i = 0; i < 256; i += 4) {
    const u8 code_end[] = {0x00, 0x00, 0x9f, 0xbf};                 // s_code_end (llvm-mc)
    REQUIRE(std::memcmp(image->bytes.data() + image->bytes.size() - 256 + i, code_end, 4) == 0);
  }
  const std::pair<std::string, u32> argument{"count.arg.first", 8};
  CHECK(std::find(image->symbols.begin(), image->symbols.end(), argument) != image->symbols.end());
}

TEST_CASE("what is no gfx1151 code object is named") {
  CHECK(refusal({}) == "code object: the ELF header at byte 0 is past the end of 0 bytes");
  CHECK(refusal(with<u8>(0, 'X')) == "code object: it is not an ELF file");
  CHECK(refusal(with<u8>(EI_CLASS, 1)) == "code object: it is not a 64-bit little-endian ELF file");
  CHECK(refusal(with<u8>(EI_OSABI, 0)) == "code object: its OS ABI (byte 7) is 0, not HSA");
  CHECK(refusal(with<u8>(EI_ABIVERSION, 0)).find("ABI version (byte 8) is 0") != std::string::npos);
  CHECK(refusal(with<u16>(18, 62)) == "code object: it is for machine 62, not AMDGPU");
  CHECK(refusal(with<u32>(48, 0x41)) == "code object: it is for processor 0x41, not gfx1151 (0x4a)");
  CHECK(refusal(with<u16>(16, ET_REL)) == "code object: it is not linked (type 1)");
  CHECK(refusal(with<u64>(64 + 56 + 32, 1 << 20)).find("segment 1") != std::string::npos);
}

TEST_CASE("relocations are refused") {
  CHECK(refusal(read_bytes(RELOCATED_CODE_OBJECT)) ==
        "code object: it has 24 bytes of relocations; kernels must not refer to outside symbols");
}

TEST_CASE("a kernel that wants what we do not give is named") {
  const auto kernel = [](std::size_t offset, auto value) { return kernel_refusal(with(count_descriptor + offset, value)); };
  CHECK(kernel(56, u16(1 << 3 | 1 << 10 | 1 << 1)) ==
        "code object: kernel count wants a dispatch packet pointer, which amlm does not provide");
  CHECK(kernel(56, u16(1 << 3 | 1 << 10 | 1 << 11)) ==
        "code object: kernel count wants a dynamic stack, which amlm does not provide");
  CHECK(kernel(58, u16(1)).find("preloaded kernargs") != std::string::npos);
  CHECK(kernel(4, u32(64)) == "code object: kernel count states scratch and does not enable it");
  CHECK(kernel(4, u32(1 << 20)) == "code object: kernel count wants 1048576 bytes of scratch a lane; the chip gives 262136");
  CHECK(kernel(0, u32(65537)) == "code object: kernel count wants 65537 bytes of LDS; a workgroup has 65536");
  CHECK(kernel(52, u32(6 << 1)) == "code object: kernel count has 6 user SGPRs; the kernarg pointer makes 2");
  CHECK(kernel(52, u32(2 << 1 | 1)) == "code object: kernel count enables scratch and states no size");
  CHECK(kernel(52, u32(2 << 1 | 1 << 6)).find("trap handler") != std::string::npos);
  CHECK(kernel(48, u32(1 << 20)) == "code object: kernel count wants to be privileged");
  CHECK(kernel(44, u32(1 << 12)) == "code object: kernel count sets reserved bits 0x1000 of COMPUTE_PGM_RSRC3");
  CHECK(kernel(16, i64(0x1504 - 0x440)).find("not 256-byte aligned code") != std::string::npos);
  CHECK(kernel(16, i64(0x1800 - 0x440)).find("not 256-byte aligned code") != std::string::npos);
}

TEST_CASE("a code object cut at any byte is refused") {
  const auto whole = tiny_code_object();
  REQUIRE(refusal(whole).empty());
  for (std::size_t length = 0; length < whole.size(); length++) {
    INFO("length " << length);
    CHECK(!refusal({whole.begin(), whole.begin() + std::ptrdiff_t(length)}).empty());
  }
}

TEST_CASE("no changed byte makes the loader leave the file or the image") {
  const auto whole = tiny_code_object();
  const u32 seed = test_seed();
  INFO("AMLM_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  u32 refused = 0, accepted = 0;
  const auto look = [&](const std::vector<u8>& file) {
    const auto image = parse_code_object(file);
    if (!image) {
      refused++;
      return;
    }
    accepted++;
    for (const auto& kernel : image->kernels) {
      CHECK(kernel.code_va < image->bytes.size());
      CHECK(kernel.code_va + kernel.code_bytes <= image->bytes.size());
      CHECK(kernel.group_lanes <= 1024);
    }
  };
  for (std::size_t at = 0; at < whole.size(); at++) {
    for (const u8 value : {u8(0), u8(0x7f), u8(0xff), u8(random())}) {
      auto file = whole;
      file[at] = value;
      look(file);
    }
  }
  for (int round = 0; round < 5000; round++) {
    auto file = whole;
    for (u32 changes = 1 + random() % 8; changes > 0; changes--) file[random() % file.size()] = u8(random());
    look(file);
  }
  CHECK(refused > 100);
  CHECK(accepted > 100);
}
