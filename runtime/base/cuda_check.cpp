// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/cuda_check.hpp"

#include <string>

namespace lockstep {

void check(cudaError_t code, Site at) {
  if (code == cudaSuccess) return;
  throw SystemError("CUDA: " + std::string(cudaGetErrorString(code)) + " [" +
                    cudaGetErrorName(code) + "] (" + at.file + ":" + std::to_string(at.line) + ")");
}

}  // namespace lockstep
