// INTERPOSE(type, name, (parameters)) { body }: defines the exported libc function `name`.
#pragma once

#define INTERPOSE(type, name, parameters)                                                              \
  extern "C" __attribute__((visibility("default"))) type amlm_interposed_##name parameters __asm__(#name); \
  extern "C" __attribute__((visibility("default"))) type amlm_interposed_##name parameters
