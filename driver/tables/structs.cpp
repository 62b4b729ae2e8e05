// The structs' writers and readers, made from the rows.
#include "driver/tables/tables.h"

namespace amlm {

namespace {

u32 place(u32 value, u32 shift, u32 width, const char* what) {
  check(width == 32 || value < (1u << width), what);
  return value << shift;
}

u32 extract(u32 word, u32 shift, u32 width) {
  return width == 32 ? word : (word >> shift) & ((1u << width) - 1);
}

}  // namespace

u32 packet_header(u32 opcode, u32 body_dwords) {
  const u32 shader_type = opcode == pm4::DispatchDirect::opcode || opcode == pm4::DispatchIndirect::opcode ? 2 : 0;
  check(body_dwords > 0 || opcode == pm4::Nop::opcode, "only NOP has no body");
  check(body_dwords <= 0x3fff, "packet too long");
  return 3u << 30 | ((body_dwords - 1) & 0x3fff) << 16 | opcode << 8 | shader_type;
}

namespace reg {

#define VALUE(name, number)
#define REGISTER(name, address, space) u32 name::word() const { [[maybe_unused]] const auto& row = *this; return 0
#define LAYOUT(name) REGISTER(name, 0, sh)
#define FIELD(name, shift, width) | place(row.name, shift, width, #name " does not fit its field")
#define END ; }
#include "driver/tables/registers.inc"
#undef REGISTER
#undef LAYOUT
#undef FIELD
#undef END

#define REGISTER(name, address, space) name name::read([[maybe_unused]] u32 word) { name row;
#define LAYOUT(name) REGISTER(name, 0, sh)
#define FIELD(name, shift, width) row.name = extract(word, shift, width);
#define END return row; }
#include "driver/tables/registers.inc"
#undef REGISTER
#undef LAYOUT
#undef FIELD
#undef END

}  // namespace reg

namespace pm4 {

#define UNWANTED(name, number, why)
#define PACKET(name, number) void name::write(std::vector<u32>& words) const { \
    const auto& row = *this; \
    const std::size_t start = words.size(); \
    words.push_back(0);
#define DWORD(name) words.push_back(row.name);
#define ADDRESS(name) words.push_back(u32(row.name)); words.push_back(u32(row.name >> 32));
#define WIDE(name) ADDRESS(name)
#define BITS(name) words.push_back(0
#define FIELD(name, shift, width) | place(row.name, shift, width, #name " does not fit its field")
#define END_BITS );
#define REG(name, layout) words.push_back(row.name.word());
#define TAIL(name) words.insert(words.end(), row.name.begin(), row.name.end());
#define END words[start] = packet_header(opcode, u32(words.size() - start - 1)); }
#include "driver/tables/packets.inc"
#undef PACKET
#undef DWORD
#undef ADDRESS
#undef BITS
#undef FIELD
#undef END_BITS
#undef REG
#undef TAIL
#undef END

#define PACKET(name, number) name name::read(std::span<const u32> body) { \
    name row; \
    std::size_t at = 0; \
    const auto next = [&] { check(at < body.size(), #name " is too short"); return body[at++]; };
#define DWORD(name) row.name = next();
#define ADDRESS(name) row.name = next(); row.name |= u64(next()) << 32;
#define BITS(name) { [[maybe_unused]] const u32 word = next();
#define FIELD(name, shift, width) row.name = extract(word, shift, width);
#define END_BITS }
#define REG(name, layout) row.name = reg::layout::read(next());
#define TAIL(name) row.name = body.subspan(at); (void)next;
#define END return row; }
#include "driver/tables/packets.inc"

}  // namespace pm4

}  // namespace amlm
