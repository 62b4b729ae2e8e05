// One table of all ALU opcodes.
#include "isa/execute/alu.h"

#include <array>

namespace amlm::isa {
namespace {

struct Table {
  std::array<Handler, opcode_count> handlers{};
  Table() {
    for (const auto bindings : {vop1_bindings(), vop2_bindings(), vop3_integer_bindings(), vop3_float_bindings(),
                                vop3_special_bindings(), vopc_bindings(), vop3p_bindings(), wmma_bindings(),
                                cross_lane_bindings(), salu_bindings(), salu_float_bindings()})
      for (const Binding& binding : bindings) {
        Handler& handler = handlers[u32(binding.opcode)];
        check(handler == nullptr, "an opcode is bound once");
        handler = binding.wide != nullptr && has_avx512() ? binding.wide : binding.handler;
      }
  }
};

}  // namespace

bool has_avx512() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return has;
#else
  return false;
#endif
}

Handler handler_for(const Instruction& in) {
  static const Table table;
  if (in.format == Format::vopd) return vopd_handler(in);
  return table.handlers[u32(in.opcode)];
}

}  // namespace amlm::isa
