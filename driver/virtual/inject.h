// Failures on demand: AMLM_VGPU_INJECT="ioctl=CS,nth=3,errno=ENOMEM;ioctl=OPEN,errno=EACCES". A rule without nth (a
// call number from 1) or every (each n-th call) always holds. Names are those of the ioctl table; OPEN is open() of
// the node, JOB the start of a job (ETIME, ENODATA or ECANCELED), VRAM_LOST a full reset at the start of a job.
#pragma once

#include <string>

#include "driver/base.h"

namespace amlm::vgpu {

// Counts the call; a positive errno when a rule says that it fails, else 0.
int injected(const char* name);
// Replaces the rules; false and *why when the text is not understood.
bool set_injections(const std::string& text, std::string* why);

}  // namespace amlm::vgpu
