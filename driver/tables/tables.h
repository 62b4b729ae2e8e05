// PM4 packets and registers of a gfx1151 compute queue. The rows are in packets.inc and registers.inc; from them come
//   - typed structs to write and read:  pm4::DispatchDirect{.dim_x = 8}.write(words);  pm4::DispatchDirect::read(body);
//                                       reg::compute_pgm_rsrc3{.inst_pref_size = 3}.word();
//   - rows to walk (the IB printer, the virtual GPU's command processor): find_packet, find_register, parse_packet.
// A value that does not fit its field is a check() when written; when read, reserved_bits() tells what no field covers.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "driver/base.h"

namespace amlm {

// --- Rows ------------------------------------------------------------------------------------------------------------

struct ValueRow { const char* name; u32 value; };

struct FieldRow {
  const char* name;
  u32 shift, width;
  std::vector<ValueRow> values;                // names of values, may be empty
  u32 mask() const { return (width == 32 ? ~0u : (1u << width) - 1) << shift; }
  u32 extract(u32 word) const { return (word & mask()) >> shift; }
};

enum class DwordKind : u8 {
  value,                                       // 32 bits, no fields
  bits,                                        // fields
  address_low, address_high,                   // halves of a GPU address (or of what a selector says)
  wide_low, wide_high,                         // halves of 64 bits of data
  tail,                                        // this and all that follow; the last row
};

struct DwordRow {
  const char* name;
  DwordKind kind;
  std::vector<FieldRow> fields;                // of kind bits
};

struct PacketRow {
  std::string name;                            // "DISPATCH_DIRECT"
  u8 opcode;
  std::vector<DwordRow> dwords;                // after the header
  bool has_tail;
  const char* unwanted;                        // why it may not stand on this queue; null when it may
  u32 fixed_dwords() const { return u32(dwords.size()) - (has_tail ? 1 : 0); }
};

enum class RegisterSpace : u8 { sh, uconfig };

struct RegisterRow {
  std::string name;                            // "COMPUTE_PGM_LO"
  u32 address;                                 // in bytes, as Mesa and AMD's headers for user mode count
  RegisterSpace space;
  std::vector<FieldRow> fields;
};

// First byte address a SET packet of the space reaches; its reg_offset counts dwords from there.
constexpr u32 space_base(RegisterSpace space) { return space == RegisterSpace::sh ? 0xB000 : 0x30000; }
constexpr u32 space_end(RegisterSpace space) { return space == RegisterSpace::sh ? 0xC000 : 0x40000; }

std::span<const PacketRow> packet_rows();
std::span<const RegisterRow> register_rows();
const PacketRow* find_packet(u32 opcode);               // null when no row has it
const PacketRow* find_packet(std::string_view name);
const RegisterRow* find_register(u32 byte_address);     // null when no row has it
const RegisterRow* find_register(std::string_view name);

// Bits of `word` that no field covers.
u32 reserved_bits(std::span<const FieldRow> fields, u32 word);
// "vgprs=15 wgp_mode=1", with names for values that have one; fields that are 0 are left out; "reserved=0x..." at the end.
std::string print_fields(std::span<const FieldRow> fields, u32 word);

// --- Parsing ---------------------------------------------------------------------------------------------------------

// One packet of an IB. `problem` is null when it may be executed: known, wanted on this queue, inside the words, long
// enough for its row, no reserved bit set. `length_dw` is at least 1, so a reader can always go on.
struct ParsedPacket {
  u32 header = 0;
  u32 length_dw = 1;                           // header and body
  u8 opcode = 0;
  bool shader_type = false;                    // header bit 1
  bool predicate = false;                      // header bit 0
  const PacketRow* row = nullptr;              // null: no row has the opcode, or not a type-3 packet
  std::span<const u32> body;
  const char* problem = nullptr;               // a literal
};
ParsedPacket parse_packet(std::span<const u32> words);   // words must not be empty

// Header of a type-3 packet with `body_dwords` dwords after it; 0 only for NOP. Bit 1 says "compute shader":
// RADV and radeonsi set it on DISPATCH packets only, and on RELEASE_MEM it is said to hang gfx11; so do we.
u32 packet_header(u32 opcode, u32 body_dwords);

// --- Structs from the rows -------------------------------------------------------------------------------------------
// reg::compute_pgm_lo{.data = 1}: fields, `address`, `space`, word(), read(word). Layouts have no address.
// pm4::WriteData{...}: fields flat, `opcode`, write(words) appends header and body, read(body).

namespace reg {
#define REGISTER(name, byte_address, register_space) struct name { \
    static constexpr u32 address = byte_address; \
    static constexpr RegisterSpace space = RegisterSpace::register_space; \
    u32 word() const; \
    static name read(u32 word);
#define LAYOUT(name) struct name { \
    u32 word() const; \
    static name read(u32 word);
#define FIELD(name, shift, width) u32 name = 0;
#define VALUE(name, number) static constexpr u32 name = number;
#define END };
#include "driver/tables/registers.inc"
#undef REGISTER
#undef LAYOUT
#undef END
}  // namespace reg

namespace pm4 {
#define PACKET(name, number) struct name { \
    static constexpr u32 opcode = number; \
    void write(std::vector<u32>& words) const; \
    static name read(std::span<const u32> body);    /* check: body is long enough */
#define UNWANTED(name, number, why)
#define DWORD(name) u32 name = 0;
#define ADDRESS(name) u64 name = 0;
#define WIDE(name) u64 name = 0;
#define BITS(name)
#define END_BITS
#define REG(name, layout) reg::layout name = {};
#define TAIL(name) std::span<const u32> name = {};
#define END };
#include "driver/tables/packets.inc"
#undef PACKET
#undef UNWANTED
#undef DWORD
#undef ADDRESS
#undef WIDE
#undef BITS
#undef END_BITS
#undef REG
#undef TAIL
#undef FIELD
#undef VALUE
#undef END
}  // namespace pm4

}  // namespace amlm
