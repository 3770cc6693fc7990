// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/snapshot.hpp"

#include "runtime/tensor/transfer.hpp"

namespace lockstep {

namespace {

// As people expect to find it: the parameter itself, a block of it, or a run of elements.
Shape shape_of(const HeldPiece& piece) {
  const Rectangles& region = piece.region;
  if (region == Rectangles{matrix_of(piece.dims)}) return Shape(piece.dims);
  if (region.size() != 1) return {count_of(region)};
  if (piece.dims.size() < 2) return {region[0].columns};
  return {region[0].rows, region[0].columns};
}

}  // namespace

std::uint64_t bytes_of(const std::vector<HeldPiece>& pieces) {
  std::uint64_t bytes = 0;
  for (const HeldPiece& piece : pieces) {
    for (const HeldState& state : piece.states)
      bytes += state.tensor.bytes();
  }
  return bytes;
}

void Snapshot::lay_out(const std::vector<HeldPiece>& pieces) {
  bytes_.resize(bytes_of(pieces));
  std::vector<NamedBytes> tensors;
  std::uint64_t at = 0;
  for (const HeldPiece& piece : pieces) {
    pieces_.push_back({piece.name, piece.region, {}});
    for (const HeldState& state : piece.states) {
      const Tensor& t = state.tensor;
      tensors.push_back({state.kind + "/" + piece.name, t.dtype(), shape_of(piece),
                         std::span(bytes_).subspan(at, t.bytes())});
      pieces_.back().states.push_back({state.kind, t.dtype(), at});
      at += t.bytes();
    }
  }
  header_ = safetensors_header(tensors, {{"format", "lockstep checkpoint: see manifest.json"}});
  for (StoredPiece& piece : pieces_) {
    for (StoredState& state : piece.states)
      state.offset += header_.size();
  }
}

void Snapshot::take(const std::vector<HeldPiece>& pieces) {
  if (pieces_.empty()) lay_out(pieces);
  std::byte* to = bytes_.data();
  for (const HeldPiece& piece : pieces) {
    for (const HeldState& state : piece.states) {
      if (state.tensor.bytes() > 0) download(to, state.tensor, state.tensor.bytes());
      to += state.tensor.bytes();
    }
  }
  expect(to == bytes_.data() + bytes_.size(), "the pieces of a snapshot have changed");
}

}  // namespace lockstep
