// SPDX-License-Identifier: Apache-2.0
// A build without CUDA.
#include "runtime/device/cuda_info.hpp"

namespace lockstep {

CudaInfo cuda_info() {
  CudaInfo info;
  info.note = "built without CUDA (LOCKSTEP_CUDA=OFF, or CMake found no toolkit)";
  return info;
}

}  // namespace lockstep
