// SPDX-License-Identifier: Apache-2.0
// What ranks of a tensor group hold of a parameter, put together again.
#pragma once

#include <algorithm>
#include <vector>

#include "runtime/nn/parameter.hpp"

namespace lockstep::test {

// A parameter as one rank has it, on the host.
struct HeldPart {
  Part part;
  Shape shape;
  std::vector<float> values;
};

inline HeldPart held(const Parameter& p, const Tensor& of) {
  return {p.part, of.shape(), {of.values().begin(), of.values().end()}};
}

// Writes what `held` has into the full tensor.
inline void place(std::vector<float>& full, const HeldPart& held) {
  const bool matrix = held.shape.rank() == 2;
  const std::int64_t columns = matrix ? held.part.full[1] : 1, mine = matrix ? held.shape[1] : 1;
  std::int64_t at = 0;  // the next row or column here
  for (const Range& range : held.part.kept) {
    const bool rows = held.part.dim == 0;
    const std::int64_t height = rows ? range.count() : held.shape[0];
    const std::int64_t width = rows ? columns : range.count();
    for (std::int64_t r = 0; r < height; ++r) {
      const float* from = held.values.data() + (rows ? (at + r) * mine : r * mine + at);
      std::copy(from, from + width,
                full.data() + (rows ? (range.begin + r) * columns : r * columns + range.begin));
    }
    at += range.count();
  }
}

// The full tensor of the parts of all ranks; of whole ones, the first.
inline std::vector<float> put_together(const std::vector<HeldPart>& ranks) {
  if (ranks.front().part.whole()) return ranks.front().values;
  std::vector<float> full(static_cast<std::size_t>(ranks.front().part.full.count()), -1e30f);
  for (const HeldPart& held : ranks)
    place(full, held);
  return full;
}

}  // namespace lockstep::test
