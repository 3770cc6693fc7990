// SPDX-License-Identifier: Apache-2.0
// Every call of the CUDA runtime passes through check(): SystemError with the call site. Errors of
// kernels arrive later, at any call; compute-sanitizer says where they began.
#pragma once

#include <cuda_runtime_api.h>

#include "runtime/base/error.hpp"

namespace lockstep {

void check(cudaError_t code, Site at = Site::here());

}  // namespace lockstep
