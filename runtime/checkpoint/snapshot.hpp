// SPDX-License-Identifier: Apache-2.0
// What a rank holds of the model's state, and a copy of it in host memory, taken between two steps
// so that it can be written behind the next ones. The copy's memory is kept from one to the next.
#pragma once

#include <string>
#include <vector>

#include "runtime/checkpoint/manifest.hpp"
#include "runtime/checkpoint/safetensors.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

struct HeldState {
  std::string kind;  // "value", or a state of the optimizer
  Tensor tensor;     // flat, an element for each of the region
};

struct HeldPiece {
  std::string name;
  Dims dims;  // of the whole parameter
  Rectangles region;
  std::vector<HeldState> states;
};

// Bytes of all states.
std::uint64_t bytes_of(const std::vector<HeldPiece>& pieces);
std::uint64_t bytes_of(const std::vector<HeldState>& states);

class Snapshot {
 public:
  // Copies at once. `pieces` and `own` of later calls have the same sizes.
  void take(const std::vector<HeldPiece>& pieces, const std::vector<HeldState>& own = {});

  // Of what was taken, with offsets in the file.
  const std::vector<StoredPiece>& pieces() const { return pieces_; }
  const std::vector<OwnState>& own() const { return own_; }
  const std::string& header() const { return header_; }        // the file begins with it
  std::span<const std::byte> bytes() const { return bytes_; }  // and goes on with these

 private:
  void lay_out(const std::vector<HeldPiece>& pieces, const std::vector<HeldState>& own);

  std::vector<StoredPiece> pieces_;
  std::vector<OwnState> own_;
  std::string header_;
  std::vector<std::byte> bytes_;
};

}  // namespace lockstep
