// SPDX-License-Identifier: Apache-2.0
// A warp for every row of a matrix.
#pragma once

#include "runtime/kernels/cuda_code.cuh"

namespace lockstep::kernels::cuda {

// body(c) for the packs of this lane.
template <class T, class Body>
__device__ void for_each_pack(std::int64_t C, Body&& body) {
  for (std::int64_t c = threadIdx.x % kWarp * kPack<T>; c < C; c += kWarp * kPack<T>)
    body(c);
}

__device__ inline std::int64_t row_of_warp() {
  return std::int64_t{blockIdx.x} * (kThreads / kWarp) + threadIdx.x / kWarp;
}

inline dim3 warps_of(std::int64_t rows) {
  return blocks_of(rows * kWarp);
}

}  // namespace lockstep::kernels::cuda
