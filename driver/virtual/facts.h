// What the virtual gfx1151 says about itself.
#pragma once

#include <optional>

#include "driver/record.h"

namespace amlm::vgpu {

using Facts = DeviceRecord;

// The assumed facts, or those of AMLM_VGPU_RECORD without the rings that this device lacks.
const Facts& gfx1151_facts();
// Registers that READ_MMR_REG may read, by dword offset.
std::optional<u32> readable_register(u32 dword_offset);
// INFO SENSOR values of an idle machine; nothing for a sensor that this APU lacks (driver.md 3.9).
std::optional<u32> sensor(u32 type, u32 pstate);

}  // namespace amlm::vgpu
