// SPDX-License-Identifier: Apache-2.0
#include "collectives/blocks.hpp"

#include <algorithm>
#include <numeric>

namespace lockstep {

Blocks::Blocks(const std::vector<std::size_t>& counts) : ranks_(static_cast<int>(counts.size())) {
  auto begins = std::make_shared<std::vector<std::size_t>>(counts.size() + 1);
  std::partial_sum(counts.begin(), counts.end(), begins->begin() + 1);
  total_ = begins->back();
  layout_ = 1;
  for (const std::size_t count : counts)
    layout_ = (layout_ ^ count) * 0x100000001b3;  // FNV-1a
  begins_ = std::move(begins);
}

Block Blocks::given(int i) const {
  const auto k = static_cast<std::size_t>(i);
  return {(*begins_)[k], (*begins_)[k + 1] - (*begins_)[k]};
}

int Blocks::owner_of(std::size_t i) const {
  int rank = 0;
  while (i >= (*this)[rank].begin + (*this)[rank].count)
    ++rank;
  return rank;
}

std::size_t Blocks::largest() const {
  const auto p = static_cast<std::size_t>(ranks_);
  if (!begins_) return (total_ + p - 1) / p;
  std::size_t most = 0;
  for (int i = 0; i < ranks_; ++i)
    most = std::max(most, given(i).count);
  return most;
}

}  // namespace lockstep
