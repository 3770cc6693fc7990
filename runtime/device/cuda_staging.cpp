// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/cuda_staging.hpp"

#include <algorithm>
#include <cstring>

namespace lockstep {

void CudaStaging::prepare() {
  for (Piece& piece : pieces_) {
    if (piece.memory.get()) continue;
    piece.copied = make_cuda_event();
    piece.memory = pinned_memory(kPieceBytes);
  }
}

void CudaStaging::copy_in(void* to, const void* host, std::size_t bytes, cudaStream_t stream) {
  std::lock_guard lock(mutex_);
  prepare();
  for (std::size_t at = 0, turn = 0; at < bytes; at += kPieceBytes, ++turn) {
    const Piece& piece = pieces_[turn % 2];
    const std::size_t now = std::min(kPieceBytes, bytes - at);
    check(cudaEventSynchronize(piece.copied.get()));  // what it held before has left
    std::memcpy(piece.memory.get(), static_cast<const char*>(host) + at, now);
    check(cudaMemcpyAsync(static_cast<char*>(to) + at, piece.memory.get(), now,
                          cudaMemcpyHostToDevice, stream));
    check(cudaEventRecord(piece.copied.get(), stream));
  }
}

void CudaStaging::copy_out(void* host, const void* from, std::size_t bytes, cudaStream_t stream) {
  std::lock_guard lock(mutex_);
  prepare();
  const auto fetch = [&](std::size_t at) {
    const Piece& piece = pieces_[at / kPieceBytes % 2];
    check(cudaMemcpyAsync(piece.memory.get(), static_cast<const char*>(from) + at,
                          std::min(kPieceBytes, bytes - at), cudaMemcpyDeviceToHost, stream));
    check(cudaEventRecord(piece.copied.get(), stream));
  };
  for (const Piece& piece : pieces_)
    check(cudaEventSynchronize(piece.copied.get()));
  fetch(0);
  for (std::size_t at = 0; at < bytes; at += kPieceBytes) {
    if (at + kPieceBytes < bytes) fetch(at + kPieceBytes);
    const Piece& piece = pieces_[at / kPieceBytes % 2];
    check(cudaEventSynchronize(piece.copied.get()));
    std::memcpy(static_cast<char*>(host) + at, piece.memory.get(),
                std::min(kPieceBytes, bytes - at));
  }
}

}  // namespace lockstep
