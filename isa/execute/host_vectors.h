// The host's vector intrinsics. g++ 12 takes the deliberately undefined lanes of its own AVX-512 header for mistakes.
#pragma once

#include "isa/base.h"

namespace amlm::isa {

// A function compiled for AVX-512, called when has_avx512().
#define AMLM_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
#define AMLM_LANES AMLM_AVX512 inline __attribute__((always_inline))   // a part of one
// The same with what WMMA needs besides: when silicon::has_wmma_avx512().
#define AMLM_AVX512_WMMA __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi2")))
#define AMLM_WMMA_LANES AMLM_AVX512_WMMA inline __attribute__((always_inline))
bool has_avx512();   // of the host

}  // namespace amlm::isa

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

namespace amlm::isa {

AMLM_LANES __m512i dwords(u32 x) { return _mm512_set1_epi32(i32(x)); }

}  // namespace amlm::isa
#endif
