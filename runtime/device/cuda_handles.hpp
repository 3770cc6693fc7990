// SPDX-License-Identifier: Apache-2.0
// Owned handles of the CUDA runtime. What is destroyed while its work is pending goes when that is
// done: CUDA's own rule.
#pragma once

#include <cstddef>
#include <memory>

#include <cuda_runtime_api.h>

#include "runtime/base/cuda_check.hpp"
#include "runtime/base/handle.hpp"

namespace lockstep {

struct CudaStreamTraits {
  using type = cudaStream_t;
  static type null() { return nullptr; }
  static void destroy(type stream) noexcept { (void)cudaStreamDestroy(stream); }
};
using CudaStreamHandle = UniqueHandle<CudaStreamTraits>;

struct CudaEventTraits {
  using type = cudaEvent_t;
  static type null() { return nullptr; }
  static void destroy(type event) noexcept { (void)cudaEventDestroy(event); }
};
using CudaEventHandle = UniqueHandle<CudaEventTraits>;

// An event that has a time costs a microsecond of the GPU more.
enum class EventTime : std::uint8_t { no, yes };
inline CudaEventHandle make_cuda_event(EventTime time = EventTime::no) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(
      &event, time == EventTime::yes ? cudaEventDefault : cudaEventDisableTiming));
  return CudaEventHandle(event);
}

// Page-locked memory of the host: copies between it and a GPU run beside the program.
struct PinnedTraits {
  using type = void*;
  static type null() { return nullptr; }
  static void destroy(type memory) noexcept { (void)cudaFreeHost(memory); }
};
using PinnedMemory = UniqueHandle<PinnedTraits>;
inline PinnedMemory pinned_memory(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable));
  return PinnedMemory(memory);
}

}  // namespace lockstep
