// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/cut.hpp"

#include <algorithm>

namespace lockstep {

namespace {

// A rank that keeps all has no ranges.
Part part_of(const Shape& full, int dim, std::vector<Range> kept, const TensorGroup& group) {
  if (group.size() == 1) kept.clear();
  return {full, dim, std::move(kept)};
}

}  // namespace

Part cut_evenly(const Shape& full, int dim, const std::vector<std::int64_t>& stretches,
                const TensorGroup& group) {
  std::vector<Range> kept;
  std::int64_t begin = 0;
  for (const std::int64_t count : stretches) {
    const Range block = group.block_of(count);
    kept.push_back({begin + block.begin, begin + block.end});
    begin += count;
  }
  expect(begin == full[dim], "stretches that are not the dim that they cut");
  return part_of(full, dim, std::move(kept), group);
}

std::int64_t padded_rows(std::int64_t vocabulary, const TensorGroup& group) {
  return (vocabulary + group.size() - 1) / group.size();
}

Range vocabulary_rows(std::int64_t vocabulary, const TensorGroup& group) {
  const std::int64_t rows = padded_rows(vocabulary, group);
  return {std::min(vocabulary, group.rank() * rows),
          std::min(vocabulary, (group.rank() + 1) * rows)};
}

Part cut_vocabulary(const Shape& full, const TensorGroup& group) {
  return part_of(full, 0, {vocabulary_rows(full[0], group)}, group);
}

}  // namespace lockstep
