// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_info.hpp"

#include <cstdlib>

#include <cuda_runtime_api.h>

#include "runtime/base/cuda_check.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {
namespace {

// 13000 is "13.0", 12040 is "12.4".
std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string hidden_by_environment() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible ? " (CUDA_VISIBLE_DEVICES is \"" + std::string(visible) + "\")" : "";
}

// Without a driver cudaGetDeviceCount answers cudaErrorInsufficientDriver, not cudaErrorNoDevice,
// and with the toolkit's stub driver cudaErrorStubLibrary.
std::string why_none(cudaError_t error, const CudaInfo& info) {
  if (error == cudaErrorInsufficientDriver && info.driver_version.empty())
    return "no NVIDIA driver was found (libcuda.so.1)";
  if (error == cudaErrorInsufficientDriver) {
    return "the NVIDIA driver serves CUDA " + info.driver_version +
           ", but this program was built with CUDA " + info.runtime_version +
           ": update the driver, or build with a toolkit that is not newer";
  }
  if (error == cudaSuccess || error == cudaErrorNoDevice)
    return "no CUDA-capable device is detected" + hidden_by_environment();
  return cudaGetErrorString(error) + hidden_by_environment();
}

std::string id_of(const cudaDeviceProp& p) {
  std::string id;
  for (const char byte : p.uuid.bytes)
    id += format("%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  return id;
}

}  // namespace

CudaInfo cuda_info() {
  CudaInfo info;
  info.built_in = true;
  int version = 0;
  if (cudaRuntimeGetVersion(&version) == cudaSuccess) info.runtime_version = version_text(version);
  if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0)
    info.driver_version = version_text(version);
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices > 0) {
    info.devices = devices;
  } else {
    (void)cudaGetLastError();
    info.note = why_none(error, info);
  }
  return info;
}

std::vector<Gpu> cuda_gpus() {
  std::vector<Gpu> gpus;
  const int count = cuda_info().devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp p;
    check(cudaGetDeviceProperties(&p, i));
    gpus.push_back(
        {.name = p.name,
         .address = format("%04x:%02x:%02x", static_cast<unsigned>(p.pciDomainID),
                           static_cast<unsigned>(p.pciBusID), static_cast<unsigned>(p.pciDeviceID)),
         .id = id_of(p),
         .major = p.major,
         .minor = p.minor,
         .memory_bytes = p.totalGlobalMem});
  }
  return gpus;
}

}  // namespace lockstep
