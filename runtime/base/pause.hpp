// SPDX-License-Identifier: Apache-2.0
// What a loop that polls memory executes between two polls.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lockstep {

inline void cpu_pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace lockstep
