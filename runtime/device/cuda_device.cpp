// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_device.hpp"

#include <cstdint>
#include <cstdlib>
#include <limits>

#include "runtime/base/cuda_check.hpp"
#include "runtime/base/format.hpp"
#include "runtime/device/cuda_info.hpp"
#include "runtime/device/cuda_staging.hpp"
#include "runtime/device/cuda_stream.hpp"

namespace lockstep {
namespace {

// The pool keeps what it took, so that a step after the first takes nothing from the driver.
cudaMemPool_t keeping_pool(int gpu) {
  int supported = 0;
  check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, gpu));
  if (!supported) throw ConfigError("this GPU has no memory pools: use device = \"cpu\"");
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, gpu));
  std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all));
  return pool;
}

int opened(int gpu) {
  const CudaInfo info = cuda_info();
  if (info.devices == 0) throw ConfigError("there is no GPU to use: " + info.note);
  if (gpu < 0 || gpu >= info.devices) {
    throw ConfigError("there is no GPU " + std::to_string(gpu) + ": this process may use " +
                      std::to_string(info.devices));
  }
  check(cudaSetDevice(gpu));
  return gpu;
}

class CudaDevice : public Device {
 public:
  CudaDevice(int gpu, CommunicationDriver driver)
      : CudaDevice(gpu, make_cuda_streams(opened(gpu), driver)) {}

  // Memory is given back to a stream that is at rest.
  ~CudaDevice() override {
    (void)cudaSetDevice(gpu_);
    (void)cudaDeviceSynchronize();
  }

  DeviceKind kind() const override { return DeviceKind::cuda; }
  void copy_in(void* to, const void* host, std::size_t bytes) override {
    staging_.copy_in(to, host, bytes, queue_->stream());
  }
  void copy_out(void* host, const void* from, std::size_t bytes) override {
    staging_.copy_out(host, from, bytes, queue_->stream());
  }

 protected:
  std::shared_ptr<void> take(std::size_t bytes) override {
    void* block = nullptr;
    const cudaError_t code = cudaMallocAsync(&block, bytes ? bytes : 1, queue_->stream());
    if (code == cudaErrorMemoryAllocation) throw_full(bytes);
    check(code);
    return {block, [queue = queue_](void* p) { (void)cudaFreeAsync(p, queue->stream()); }};
  }

  std::size_t reserved() const override {
    std::uint64_t bytes = 0;
    check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &bytes));
    return bytes;
  }

 private:
  CudaDevice(int gpu, CudaStreams streams)
      : Device(std::move(streams.compute), std::move(streams.lanes)),
        gpu_(gpu),
        queue_(std::move(streams.queue)),
        pool_(keeping_pool(gpu)) {}

  [[noreturn]] void throw_full(std::size_t bytes) const {
    (void)cudaGetLastError();  // not an error that lasts
    std::size_t available = 0, total = 0;
    (void)cudaMemGetInfo(&available, &total);
    throw SystemError(
        format("GPU %d is out of memory: %.2f GiB more were asked for, %.2f of %.2f GiB are free; "
               "this rank holds %s. Use a smaller batch.micro, parallel.recompute, a higher "
               "parallel.zero, or more tensor or pipeline ranks",
               gpu_, static_cast<double>(bytes) / 0x1p30, static_cast<double>(available) / 0x1p30,
               static_cast<double>(total) / 0x1p30, holdings().c_str()));
  }

  int gpu_;
  std::shared_ptr<CudaQueue> queue_;
  cudaMemPool_t pool_;
  CudaStaging staging_;
};

}  // namespace

std::unique_ptr<Device> make_cuda_device(int gpu, CommunicationDriver driver) {
  return std::make_unique<CudaDevice>(gpu, driver);
}

}  // namespace lockstep
