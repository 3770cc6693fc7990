// SPDX-License-Identifier: Apache-2.0
// The one way to launch a kernel: arguments are converted as in a call, errors are checked, and it
// is a function, so that .cu files are C++ that any compiler reads (tests run kernels on the CPU).
#pragma once

#include <cstdint>
#include <type_traits>

#include <cuda_runtime.h>

#include "runtime/base/cuda_check.hpp"
#include "runtime/device/stream.hpp"

namespace lockstep {

inline cudaStream_t native(Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes = 0;  // dynamic; more than 48 KiB needs cudaFuncSetAttribute before
};

// Blocks of `threads` that cover n items, one a thread.
inline Launch cover(std::int64_t n, unsigned threads = 256) {
  return {dim3(static_cast<unsigned>((n + threads - 1) / threads)), dim3(threads)};
}

// Nothing is launched where the grid is empty.
template <class... Parameters>
void launch(void (*kernel)(Parameters...), const Launch& size, Stream& stream,
            std::type_identity_t<Parameters>... arguments) {
  if (size.grid.x == 0 || size.grid.y == 0 || size.grid.z == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = size.grid;
  config.blockDim = size.block;
  config.dynamicSmemBytes = size.shared_bytes;
  config.stream = native(stream);
  check(cudaLaunchKernelEx(&config, kernel, arguments...));
}

}  // namespace lockstep
