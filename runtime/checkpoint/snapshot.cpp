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
  for (const HeldPiece& piece : pieces)
    bytes += bytes_of(piece.states);
  return bytes;
}

std::uint64_t bytes_of(const std::vector<HeldState>& states) {
  std::uint64_t bytes = 0;
  for (const HeldState& state : states)
    bytes += state.tensor.bytes();
  return bytes;
}

void Snapshot::lay_out(const std::vector<HeldPiece>& pieces, const std::vector<HeldState>& own) {
  bytes_.resize(bytes_of(pieces) + bytes_of(own));
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
  for (const HeldState& state : own) {
    const Tensor& t = state.tensor;
    tensors.push_back(
        {state.kind, t.dtype(), {t.count()}, std::span(bytes_).subspan(at, t.bytes())});
    own_.push_back({state.kind, t.dtype(), t.count(), at});
    at += t.bytes();
  }
  header_ = safetensors_header(tensors, {{"format", "lockstep checkpoint: see manifest.json"}});
  for (StoredPiece& piece : pieces_) {
    for (StoredState& state : piece.states)
      state.offset += header_.size();
  }
  for (OwnState& state : own_)
    state.offset += header_.size();
}

void Snapshot::take(const std::vector<HeldPiece>& pieces, const std::vector<HeldState>& own) {
  if (header_.empty()) lay_out(pieces, own);
  std::byte* to = bytes_.data();
  const auto copy = [&to](const std::vector<HeldState>& states) {
    for (const HeldState& state : states) {
      if (state.tensor.bytes() > 0) download(to, state.tensor, state.tensor.bytes());
      to += state.tensor.bytes();
    }
  };
  for (const HeldPiece& piece : pieces)
    copy(piece.states);
  copy(own);
  expect(to == bytes_.data() + bytes_.size(), "the pieces of a snapshot have changed");
}

}  // namespace lockstep
