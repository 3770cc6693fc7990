// SPDX-License-Identifier: Apache-2.0
#include "parallelism/data/tree_sum.hpp"

#include <algorithm>
#include <bit>

namespace lockstep {

namespace {

constexpr std::size_t kChunk =
    2048;  // elements of a leaf at a time: the partial sums stay in cache

void add(float* to, const float* from, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i)
    to[i] += from[i];
}

}  // namespace

std::vector<int> levels_added(std::int64_t index, std::int64_t count) {
  const auto bits = static_cast<std::uint64_t>(index);
  const int lowest = index + 1 == count ? 64 : std::countr_one(bits);
  std::vector<int> levels;
  for (int level = 0; level < lowest; ++level)
    if (bits >> level & 1) levels.push_back(level);
  return levels;
}

int kept_at(std::int64_t index) {
  return std::countr_one(static_cast<std::uint64_t>(index));
}

int levels_of(std::int64_t count) {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(count - 1)));
}

bool fits_tree(std::int64_t micro_batches, int data_ranks) {
  return data_ranks == 1 || std::has_single_bit(static_cast<std::uint64_t>(micro_batches));
}

void sum_leaves(float* leaves, std::size_t stride, std::size_t count, int num_leaves) {
  for (std::size_t begin = 0; begin < count; begin += kChunk) {
    const std::size_t n = std::min(kChunk, count - begin);
    for (int apart = 1; apart < num_leaves; apart *= 2) {
      for (int leaf = 0; leaf + apart < num_leaves; leaf += 2 * apart) {
        float* to = leaves + static_cast<std::size_t>(leaf) * stride + begin;
        add(to, to + static_cast<std::size_t>(apart) * stride, n);
      }
    }
  }
}

}  // namespace lockstep
