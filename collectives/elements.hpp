// SPDX-License-Identifier: Apache-2.0
// A typed view of memory, the type known at run time: what algorithms, transports and backends pass
// around. Like std::span it does not own, and copies see the same elements.
#pragma once

#include <cstddef>

#include "runtime/base/dtype.hpp"

namespace lockstep {

struct Elements {
  std::byte* data = nullptr;
  std::size_t count = 0;
  DType dtype = DType::float32;

  std::size_t bytes() const { return count * size_of(dtype); }
  Elements subspan(std::size_t begin, std::size_t n) const {
    return {data + begin * size_of(dtype), n, dtype};
  }
  Elements first(std::size_t n) const { return subspan(0, n); }
};

// The p near-equal blocks of n elements: block i is [n*i/p, n*(i+1)/p). Sizes differ by one at
// most, and are zero for some blocks where n < p. Shards of every collective are these blocks.
struct Block {
  std::size_t begin, count;
  bool operator==(const Block&) const = default;
};

constexpr Block block_bounds(std::size_t n, int p, int i) {
  const auto ranks = static_cast<std::size_t>(p), k = static_cast<std::size_t>(i);
  const std::size_t begin = n * k / ranks;
  return {begin, n * (k + 1) / ranks - begin};
}

// Block i of `all`; i counts around the ring, so it may be negative or beyond p.
inline Elements block_of(const Elements& all, int p, int i) {
  const Block b = block_bounds(all.count, p, (i % p + p) % p);
  return all.subspan(b.begin, b.count);
}

// No block is larger.
constexpr std::size_t largest_block(std::size_t n, int p) {
  return (n + static_cast<std::size_t>(p) - 1) / static_cast<std::size_t>(p);
}

}  // namespace lockstep
