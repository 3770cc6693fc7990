// SPDX-License-Identifier: Apache-2.0
// What this rank's threads reach: the rate of a large matrix product, which MFU is a share of, and
// the peak of fused multiply-adds, which no program exceeds. FLOP/s, float32.
#pragma once

#include "runtime/device/device.hpp"

namespace lockstep {

// The fastest of the products of 1024^3 that fit into `seconds`, by the library that the kernels
// use: whatever else the machine does can only slow them.
double measure_gemm_rate(double seconds = 0.4);

// Of the device: of a GPU by events, products in the type that it computes in, of 8192^3 or of what
// takes it a millisecond.
double measure_gemm_rate(Device& device, double seconds = 0.4);

// Independent vector multiply-adds in registers on every thread; the fastest of several short runs.
double measure_fma_peak(double seconds = 0.1);

}  // namespace lockstep
