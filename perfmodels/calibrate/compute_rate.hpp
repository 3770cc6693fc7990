// SPDX-License-Identifier: Apache-2.0
// What this rank's threads reach: the rate of a large matrix product, which MFU is a share of, and
// the peak of fused multiply-adds, which no program exceeds. FLOP/s, float32.
#pragma once

namespace lockstep {

// Median of products of 1024^3 over about `seconds`, by the library that the kernels use.
double measure_gemm_rate(double seconds = 0.3);

// Independent vector multiply-adds in registers on every thread; best of several short runs.
double measure_fma_peak(double seconds = 0.1);

}  // namespace lockstep
