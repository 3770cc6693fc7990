// SPDX-License-Identifier: Apache-2.0
// The memory of the fake GPU: malloc's, every block by itself, so that the address sanitizer sees
// its ends. With LOCKSTEP_GUARD_GPU in the environment it is closed to the host instead, as a real
// one's is: who touches it outside of OnGpu ends the process, which says where.
#pragma once

#include <cstddef>

#include <driver_types.h>

namespace lockstep::fake {

cudaError_t take(void** memory, std::size_t bytes);  // begins as NaN
void give_back(void* memory);
bool on_gpu(const void* memory);
void guard();  // from now on, before any is taken
bool guarded();
std::size_t allocated();

constexpr std::size_t kMemory = std::size_t{8} << 30;

}  // namespace lockstep::fake

// For libraries that are opened, too: 1 and -1 around what the GPU does.
extern "C" void lockstep_gpu_works(int more);

namespace lockstep::fake {

struct OnGpu {
  OnGpu() { lockstep_gpu_works(1); }
  ~OnGpu() { lockstep_gpu_works(-1); }
  OnGpu(const OnGpu&) = delete;
  OnGpu& operator=(const OnGpu&) = delete;
};

}  // namespace lockstep::fake
