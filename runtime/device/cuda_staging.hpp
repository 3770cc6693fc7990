// SPDX-License-Identifier: Apache-2.0
// Copies between ordinary host memory and a GPU, through two page-locked pieces: while one is
// copied by the GPU, the host fills or empties the other. 8 MiB of host memory, taken at the first
// copy.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>

#include "runtime/device/cuda_handles.hpp"

namespace lockstep {

class CudaStaging {
 public:
  // Returns when `host` has been read; the bytes arrive in the order of the stream.
  void copy_in(void* to, const void* host, std::size_t bytes, cudaStream_t stream);
  // Returns when the bytes are there, after all that is in the stream.
  void copy_out(void* host, const void* from, std::size_t bytes, cudaStream_t stream);

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{4} << 20;

  struct Piece {
    PinnedMemory memory;
    CudaEventHandle copied;
  };
  void prepare();

  std::mutex mutex_;
  std::array<Piece, 2> pieces_;
};

}  // namespace lockstep
