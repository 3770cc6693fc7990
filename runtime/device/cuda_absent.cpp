// SPDX-License-Identifier: Apache-2.0
// A build without CUDA.
#include "runtime/base/error.hpp"
#include "runtime/device/cuda_device.hpp"
#include "runtime/device/cuda_info.hpp"

namespace lockstep {

CudaInfo cuda_info() {
  CudaInfo info;
  info.note = "built without CUDA (LOCKSTEP_CUDA=OFF, or CMake found no toolkit)";
  return info;
}

std::vector<Gpu> cuda_gpus() {
  return {};
}

std::unique_ptr<Device> make_cuda_device(int, CommunicationDriver) {
  throw ConfigError("there is no GPU to use: " + cuda_info().note);
}

}  // namespace lockstep
