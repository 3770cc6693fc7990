// SPDX-License-Identifier: Apache-2.0
// Stands in for the file of this name in runtime/device where a .cu is compiled as C++ for the
// emulation: a launch returns when the kernel is done.
#pragma once

#include <cstdint>
#include <type_traits>

#include <cuda_runtime_api.h>

#include "runtime/base/cuda_check.hpp"
#include "runtime/device/stream.hpp"
#include "tests/testbed/cuda/emulator.hpp"

namespace lockstep {

inline cudaStream_t native(Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
};

inline Launch cover(std::int64_t n, unsigned threads = 256) {
  return {dim3(static_cast<unsigned>((n + threads - 1) / threads)), dim3(threads)};
}

template <class... Parameters>
void launch(void (*kernel)(Parameters...), const Launch& size, Stream&,
            std::type_identity_t<Parameters>... arguments) {
  if (size.grid.x == 0 || size.grid.y == 0 || size.grid.z == 0) return;
  emulated::run_grid({size.grid.x, size.grid.y, size.grid.z},
                     {size.block.x, size.block.y, size.block.z}, size.shared_bytes,
                     [&] { kernel(arguments...); });
}

}  // namespace lockstep
