// The host's vector intrinsics. g++ 12 takes the deliberately undefined lanes of its own AVX-512 header for mistakes.
#pragma once

namespace amlm::isa {

// A function compiled for AVX-512, called when has_avx512().
#define AMLM_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
#define AMLM_LANES AMLM_AVX512 inline __attribute__((always_inline))   // a part of one
bool has_avx512();   // of the host

}  // namespace amlm::isa

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif
