// For tests and for `amlm bench`: what the preloaded library tells without an ioctl. Found with dlsym(RTLD_DEFAULT,
// name); absent when the program does not run on the virtual GPU.
#pragma once

#include <stddef.h>

extern "C" {

// Totals and sums per dispatch label as JSON (driver/virtual/README.md lists the keys). Returns the length without
// the final 0, like snprintf: call again with more room when it is not less than `size`.
size_t amlm_vgpu_counters(char* json, size_t size);
void amlm_vgpu_counters_clear(void);

// Number of faults so far, and the last one as the JSON line that AMLM_VGPU_FAULTS gets ("" when none).
size_t amlm_vgpu_fault_count(void);
size_t amlm_vgpu_last_fault(char* json, size_t size);
void amlm_vgpu_faults_clear(void);

// How often a rule of the fault script has held since it was set.
size_t amlm_vgpu_script_hits(void);

// What each call can answer, a line each: "NAME ERRNO ERRNO...".
size_t amlm_vgpu_ioctls(char* text, size_t size);

// Changes a setting for the jobs that start after it: "seed", "mode", "job_timeout_ms", "gtt_mib" (the limit, not
// what is in use), "inject" (a fault script). 0, or -1 when key or value is not understood.
int amlm_vgpu_set(const char* key, const char* value);

}
