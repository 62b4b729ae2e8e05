// The rows say what is executed: a row is OP exactly when a handler is bound to it.
#include <catch2/catch.hpp>

#include "isa/execute/wave.h"
#include "isa/tables.h"

using namespace amlm;
using namespace amlm::isa;

namespace {

bool bound(Opcode opcode) {
  Instruction in;
  in.opcode = in.y_opcode = opcode;
  in.format = info(opcode).format;
  if (in.format == Format::vopd && info(opcode).number > 13) in.opcode = Opcode::v_dual_mov_b32;
  return memory_handler_for(in) || flow_handler_for(in) || handler_for(in);
}

}  // namespace

TEST_CASE("OP rows have a handler, OP_NAMED rows have none") {
  u32 executed = 0;
  for (u32 row = 0; row < opcode_count; ++row) {
    const OpInfo& op = info(Opcode(row));
    CAPTURE(op.name);
    CHECK(bound(Opcode(row)) == op.executed);
    executed += op.executed;
  }
  WARN(executed << " of " << opcode_count << " rows are executed");
}
