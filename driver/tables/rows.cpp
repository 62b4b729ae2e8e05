// The rows as data: built once from packets.inc and registers.inc, looked up by number and name.
#include <algorithm>
#include <array>
#include <cctype>

#include "driver/tables/tables.h"

namespace amlm {

namespace {

// The .inc files flattened; PACKET, REGISTER and LAYOUT open a group, END closes it.
enum class Tag : u8 { packet, unwanted, dword, address, wide, bits, end_bits, layout_of, tail, reg, layout, field, value, end };
struct Raw { Tag tag; const char* name; u32 a = 0, b = 0; const char* text = nullptr; };

const Raw raw_registers[] = {
#define REGISTER(name, address, space) {Tag::reg, #name, address, u32(RegisterSpace::space)},
#define LAYOUT(name) {Tag::layout, #name},
#define FIELD(name, shift, width) {Tag::field, #name, shift, width},
#define VALUE(name, number) {Tag::value, #name, number},
#define END {Tag::end, ""},
#include "driver/tables/registers.inc"
};

const Raw raw_packets[] = {
#define PACKET(name, opcode) {Tag::packet, #name, opcode},
#define UNWANTED(name, opcode, why) {Tag::unwanted, #name, opcode, 0, why},
#define DWORD(name) {Tag::dword, #name},
#define ADDRESS(name) {Tag::address, #name},
#define WIDE(name) {Tag::wide, #name},
#define BITS(name) {Tag::bits, #name},
#define END_BITS {Tag::end_bits, ""},
#define REG(name, layout) {Tag::layout_of, #name, 0, 0, #layout},
#define TAIL(name) {Tag::tail, #name},
#include "driver/tables/packets.inc"
};

// "DispatchDirect" -> "DISPATCH_DIRECT", "compute_pgm_lo" -> "COMPUTE_PGM_LO".
std::string hardware_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (std::isupper(static_cast<unsigned char>(c)) && !out.empty()) out += '_';
    out += char(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

struct Tables {
  std::vector<RegisterRow> registers;
  std::vector<PacketRow> packets;
  std::vector<std::pair<std::string, std::vector<FieldRow>>> layouts;    // registers and layouts by their row's name
  std::array<const PacketRow*, 256> by_opcode{};
  std::array<std::vector<const RegisterRow*>, 2> by_address;             // a space's registers by dword offset

  Tables() {
    read_registers();
    read_packets();
    for (const auto& packet : packets) by_opcode[packet.opcode] = &packet;
    for (const auto space : {RegisterSpace::sh, RegisterSpace::uconfig})
      by_address[u32(space)].resize((space_end(space) - space_base(space)) / 4);
    for (const auto& row : registers) by_address[u32(row.space)][(row.address - space_base(row.space)) / 4] = &row;
  }

  void read_registers() {
    std::vector<FieldRow> fields;
    Raw open{};
    for (const Raw& raw : raw_registers) {
      switch (raw.tag) {
        case Tag::reg:
        case Tag::layout: open = raw; fields.clear(); break;
        case Tag::field: fields.push_back({raw.name, raw.a, raw.b, {}}); break;
        case Tag::value: fields.back().values.push_back({raw.name, raw.a}); break;
        default:
          layouts.emplace_back(open.name, fields);
          if (open.tag == Tag::reg) registers.push_back({hardware_name(open.name), open.a, RegisterSpace(open.b), fields});
      }
    }
  }

  const std::vector<FieldRow>& layout(std::string_view name) const {
    const auto found = std::ranges::find(layouts, name, [](const auto& l) { return std::string_view(l.first); });
    check(found != layouts.end(), "a packet names a layout that is not a row");
    return found->second;
  }

  void read_packets() {
    for (const Raw& raw : raw_packets) {
      if (raw.tag == Tag::packet || raw.tag == Tag::unwanted) {
        packets.push_back({hardware_name(raw.name), u8(raw.a), {}, false, raw.text});
        continue;
      }
      auto& dwords = packets.back().dwords;
      switch (raw.tag) {
        case Tag::dword: dwords.push_back({raw.name, DwordKind::value, {}}); break;
        case Tag::bits: dwords.push_back({raw.name, DwordKind::bits, {}}); break;
        case Tag::layout_of: dwords.push_back({raw.name, DwordKind::bits, layout(raw.text)}); break;
        case Tag::tail: dwords.push_back({raw.name, DwordKind::tail, {}}); packets.back().has_tail = true; break;
        case Tag::address:
          dwords.push_back({raw.name, DwordKind::address_low, {}});
          dwords.push_back({raw.name, DwordKind::address_high, {}});
          break;
        case Tag::wide:
          dwords.push_back({raw.name, DwordKind::wide_low, {}});
          dwords.push_back({raw.name, DwordKind::wide_high, {}});
          break;
        case Tag::field: dwords.back().fields.push_back({raw.name, raw.a, raw.b, {}}); break;
        case Tag::value: dwords.back().fields.back().values.push_back({raw.name, raw.a}); break;
        default: break;
      }
    }
  }
};

const Tables& tables() {
  static const Tables instance;
  return instance;
}

}  // namespace

std::span<const PacketRow> packet_rows() { return tables().packets; }
std::span<const RegisterRow> register_rows() { return tables().registers; }

const PacketRow* find_packet(u32 opcode) { return opcode < 256 ? tables().by_opcode[opcode] : nullptr; }

const PacketRow* find_packet(std::string_view name) {
  const auto found = std::ranges::find(packet_rows(), name, [](const auto& row) { return std::string_view(row.name); });
  return found == packet_rows().end() ? nullptr : &*found;
}

const RegisterRow* find_register(u32 byte_address) {
  for (const auto space : {RegisterSpace::sh, RegisterSpace::uconfig})
    if (byte_address % 4 == 0 && byte_address >= space_base(space) && byte_address < space_end(space))
      return tables().by_address[u32(space)][(byte_address - space_base(space)) / 4];
  return nullptr;
}

const RegisterRow* find_register(std::string_view name) {
  const auto rows = register_rows();
  const auto found = std::ranges::find(rows, name, [](const auto& row) { return std::string_view(row.name); });
  return found == rows.end() ? nullptr : &*found;
}

u32 reserved_bits(std::span<const FieldRow> fields, u32 word) {
  for (const auto& field : fields) word &= ~field.mask();
  return word;
}

std::string print_fields(std::span<const FieldRow> fields, u32 word) {
  std::string out;
  const auto append = [&](const std::string& item) { out += (out.empty() ? "" : " ") + item; };
  for (const auto& field : fields) {
    const u32 value = field.extract(word);
    const auto named = std::ranges::find(field.values, value, &ValueRow::value);
    if (named != field.values.end()) append(text("%s=%s", field.name, named->name));
    else if (value != 0) append(text(value < 1000 ? "%s=%u" : "%s=0x%x", field.name, value));
  }
  if (const u32 rest = reserved_bits(fields, word); rest != 0) append(text("reserved=0x%x", rest));
  return out;
}

ParsedPacket parse_packet(std::span<const u32> words) {
  check(!words.empty(), "parse_packet: no words");
  ParsedPacket packet{.header = words[0]};
  if (packet.header >> 30 != 3) return packet.problem = "not a type-3 packet", packet;
  packet.opcode = u8(packet.header >> 8);
  packet.shader_type = packet.header >> 1 & 1;
  packet.predicate = packet.header & 1;
  packet.row = find_packet(u32(packet.opcode));
  u32 body_dwords = (packet.header >> 16 & 0x3fff) + 1;
  if (packet.opcode == pm4::Nop::opcode && body_dwords == 0x4000) body_dwords = 0;
  if (body_dwords >= words.size()) {
    packet.body = words.subspan(1);
    packet.length_dw = u32(words.size());
    return packet.problem = "runs past the end of the indirect buffer", packet;
  }
  packet.body = words.subspan(1, body_dwords);
  packet.length_dw = 1 + body_dwords;
  if (packet.row == nullptr) return packet.problem = "unknown opcode", packet;
  if (packet.row->unwanted != nullptr) return packet.problem = packet.row->unwanted, packet;
  const bool fits = packet.row->has_tail ? body_dwords >= packet.row->fixed_dwords() : body_dwords == packet.row->fixed_dwords();
  if (!fits) return packet.problem = "wrong length", packet;
  for (u32 i = 0; i < packet.row->fixed_dwords(); i++) {
    const auto& dword = packet.row->dwords[i];
    if (dword.kind == DwordKind::bits && reserved_bits(dword.fields, packet.body[i]) != 0)
      return packet.problem = "reserved bits are set", packet;
  }
  return packet;
}

}  // namespace amlm
