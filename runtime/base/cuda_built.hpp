// SPDX-License-Identifier: Apache-2.0
// Whether this build has the code for GPUs. `if constexpr (kCudaBuilt)` around a call leaves no
// reference behind, so what is missing is missing from the link, too.
#pragma once

namespace lockstep {

inline constexpr bool kCudaBuilt = LOCKSTEP_CUDA_BUILT;

}  // namespace lockstep
