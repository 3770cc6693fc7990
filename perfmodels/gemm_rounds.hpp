// SPDX-License-Identifier: Apache-2.0
// A matrix product on a device whose processors compute one tile of C each, round by round. The
// last round may leave most of them idle (tile and wave quantization, see NVIDIA's "Matrix
// multiplication background user's guide").
//
//   tile     2 m n k FLOPs at the lower of the processor's share of the peak and of what the cache
//            brings it, (m + n) k elements; then m n elements are written at its share of the
//            memory bandwidth
//   product  rounds x tile, with the tile size for which that is least; never less than its
//   operands
//            take from memory
#pragma once

#include "perfmodels/machine/machine.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

// Whether the profile has what this takes.
bool knows_tiles(const ComputeProfile& profile);

// Seconds of a product m n k, shape[3] times (0: once).
double gemm_seconds(const ComputeProfile& profile, const Operation& operation);

}  // namespace lockstep
