// SPDX-License-Identifier: Apache-2.0
// The masks of dropout.hpp on the device: the bits of the CPU.
#pragma once

#include "runtime/base/philox.hpp"
#include "runtime/kernels/cuda_primitives.cuh"
#include "runtime/kernels/dropout.hpp"

namespace lockstep::kernels::cuda {

// f[j] = the factor of element i + j: one Philox block for four elements that share one.
template <int N>
__device__ void draw_factors(float (&f)[N], const DropoutMask& mask, std::uint64_t i) {
  const float grown = 1.0f / (1.0f - mask.share);
  const std::uint64_t first = mask.first + i;
  const unsigned shift = static_cast<unsigned>(first % 4);
  PhiloxBlock block = philox(mask.key, first / 4);
  if (shift == 0) {
    for (int j = 0; j < N; ++j) {
      if (j > 0 && j % 4 == 0) block = philox(mask.key, first / 4 + j / 4);
      f[j] = uniform01(block.word[j % 4]) >= mask.share ? grown : 0.0f;
    }
    return;
  }
  for (int j = 0; j < N; ++j) {
    const unsigned place = (shift + j) % 4;
    if (j > 0 && place == 0) block = philox(mask.key, (first + j) / 4);
    const std::uint32_t low = place % 2 ? block.word[1] : block.word[0];
    const std::uint32_t high = place % 2 ? block.word[3] : block.word[2];
    f[j] = uniform01(place < 2 ? low : high) >= mask.share ? grown : 0.0f;
  }
}

}  // namespace lockstep::kernels::cuda
