#include "driver/ib.h"
#include "driver/tables/tables.h"

namespace amlm {

namespace {

std::string hex(u64 value) { return text("0x%llx", static_cast<unsigned long long>(value)); }

class Printer {
 public:
  Printer(u64 va, const AddressNamer& name_of) : va_(va), name_of_(name_of) {}

  std::string print(std::span<const u32> words) {
    for (std::size_t at = 0; at < words.size();) {
      const ParsedPacket packet = parse_packet(words.subspan(at));
      out_ += text("0x%08llx  ", static_cast<unsigned long long>(va_ + at * 4));
      if (packet.row == nullptr) {
        out_ += text("?? 0x%08x  %s\n", packet.header, packet.problem);
        hex_words(packet.body);
      } else {
        print_packet(packet);
      }
      at += packet.length_dw;
    }
    return std::move(out_);
  }

 private:
  void print_packet(const ParsedPacket& packet) {
    out_ += packet.row->name;
    if (packet.predicate) out_ += " predicated";
    if (packet.problem != nullptr) {
      out_ += text("  !! %s (header 0x%08x)\n", packet.problem, packet.header);
      hex_words(packet.body);
    } else if (packet.opcode == pm4::SetShReg::opcode || packet.opcode == pm4::SetShRegIndex::opcode) {
      print_registers(packet, RegisterSpace::sh);
    } else if (packet.opcode == pm4::SetUconfigReg::opcode) {
      print_registers(packet, RegisterSpace::uconfig);
    } else if (packet.opcode == pm4::Nop::opcode) {
      out_ += text("  %u dwords\n", packet.length_dw);
    } else if (packet.opcode == pm4::DispatchDirect::opcode) {
      print_dispatch(pm4::DispatchDirect::read(packet.body), packet);
    } else {
      print_dwords(packet);
    }
  }

  void print_dispatch(const pm4::DispatchDirect& dispatch, const ParsedPacket& packet) {
    const auto value = [&](u32 address) { return sh_[(address - space_base(RegisterSpace::sh)) / 4]; };
    out_ += text("  %u x %u x %u  %s", dispatch.dim_x, dispatch.dim_y, dispatch.dim_z,
                 print_fields(packet.row->dwords[3].fields, packet.body[3]).c_str());
    const auto code_low = value(reg::compute_pgm_lo::address), code_high = value(reg::compute_pgm_hi::address);
    if (code_low && code_high) out_ += "  code " + address(u64(*code_low) << 8 | u64(*code_high) << 40);
    const auto low = value(reg::compute_user_data_0::address), high = value(reg::compute_user_data_1::address);
    if (low && high) out_ += "  kernarg " + address(*low | u64(*high) << 32);
    out_ += '\n';
  }

  void print_registers(const ParsedPacket& packet, RegisterSpace space) {
    const u32 start = packet.body[0] & 0xffff;
    if (const u32 index = packet.body[0] >> 28; index != 0) out_ += text("  index=%u", index);
    out_ += '\n';
    for (u32 i = 0; i + 1 < packet.body.size(); i++) {
      const u32 address = space_base(space) + (start + i) * 4, word = packet.body[1 + i];
      const RegisterRow* row = address < space_end(space) ? find_register(address) : nullptr;
      const std::string name = row != nullptr ? row->name : text("?? register 0x%x", address);
      out_ += text("              %-34s 0x%08x", name.c_str(), word);
      if (row != nullptr && (row->fields.size() > 1 || reserved_bits(row->fields, word) != 0))
        out_ += "  " + print_fields(row->fields, word);
      out_.erase(out_.find_last_not_of(' ') + 1);
      out_ += '\n';
      if (space == RegisterSpace::sh && start + i < sh_.size()) sh_[start + i] = word;
    }
  }

  void print_dwords(const ParsedPacket& packet) {
    for (u32 i = 0; i < packet.row->fixed_dwords(); i++) {
      const DwordRow& dword = packet.row->dwords[i];
      const u32 word = packet.body[i];
      if (dword.kind == DwordKind::bits) {
        if (const std::string fields = print_fields(dword.fields, word); !fields.empty()) out_ += "  " + fields;
      } else if (dword.kind == DwordKind::address_low) {
        out_ += text("  %s=%s", dword.name, address(word | u64(packet.body[i + 1]) << 32).c_str());
      } else if (dword.kind == DwordKind::wide_low) {
        out_ += text("  %s=%s", dword.name, hex(word | u64(packet.body[i + 1]) << 32).c_str());
      } else if (dword.kind == DwordKind::value && word != 0) {
        out_ += text("  %s=0x%x", dword.name, word);
      }
    }
    out_ += '\n';
    hex_words(packet.body.subspan(packet.row->fixed_dwords()));
  }

  std::string address(u64 va) const {
    const std::string name = name_of_ ? name_of_(va) : "";
    return name.empty() ? hex(va) : hex(va) + " (" + name + ")";
  }

  void hex_words(std::span<const u32> words) {
    for (std::size_t i = 0; i < words.size(); i++)
      out_ += text("%s%08x%s", i % 8 == 0 ? "              " : " ", words[i],
                   i % 8 == 7 || i + 1 == words.size() ? "\n" : "");
  }

  u64 va_;
  const AddressNamer& name_of_;
  std::string out_;
  std::array<std::optional<u32>, 0x400> sh_{};       // what the IB wrote so far
};

}  // namespace

std::string print_ib(std::span<const u32> words, u64 va, const AddressNamer& name_of) {
  return Printer(va, name_of).print(words);
}

}  // namespace amlm
