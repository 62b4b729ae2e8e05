// The opcodes of each ALU file and their handlers; isa/execute/alu.cpp makes one table of them.
#pragma once

#include <span>

#include "isa/execute/lanes.h"

namespace amlm::isa {

std::span<const Binding> vop1_bindings();
std::span<const Binding> vop2_bindings();
std::span<const Binding> vop3_integer_bindings();
std::span<const Binding> vop3_float_bindings();
std::span<const Binding> vop3_special_bindings();
std::span<const Binding> vopc_bindings();
std::span<const Binding> vop3p_bindings();
std::span<const Binding> wmma_bindings();
std::span<const Binding> cross_lane_bindings();
std::span<const Binding> salu_bindings();
std::span<const Binding> salu_float_bindings();
Handler vopd_handler(const Instruction& in);   // null when a half is not executed

}  // namespace amlm::isa
