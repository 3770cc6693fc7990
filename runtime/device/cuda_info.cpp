// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_info.hpp"

#include <cuda_runtime_api.h>

namespace lockstep {
namespace {

// 13000 is "13.0", 12040 is "12.4".
std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

// Without a driver cudaGetDeviceCount answers cudaErrorInsufficientDriver, not cudaErrorNoDevice,
// with the toolkit's stub driver cudaErrorStubLibrary, and leaves the count alone: no GPU, each
// time.
CudaInfo cuda_info() {
  CudaInfo info;
  info.built_in = true;
  if (int version = 0; cudaRuntimeGetVersion(&version) == cudaSuccess) {
    info.runtime_version = version_text(version);
  }
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error != cudaSuccess) {
    info.note = cudaGetErrorString(error);
  } else if (devices == 0) {
    info.note = "no CUDA-capable device is detected";
  } else {
    info.devices = devices;
  }
  return info;
}

}  // namespace lockstep
