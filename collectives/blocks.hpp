// SPDX-License-Identifier: Apache-2.0
// How the n elements of a full vector are cut into one block per rank: the shards of every
// collective. Near-equal unless counts are given: block i is then [n*i/p, n*(i+1)/p), so sizes
// differ by one at most, and are zero for some blocks where n < p.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace lockstep {

struct Block {
  std::size_t begin, count;
  bool operator==(const Block&) const = default;
};

constexpr Block block_bounds(std::size_t n, int p, int i) {
  const auto ranks = static_cast<std::size_t>(p), k = static_cast<std::size_t>(i);
  const std::size_t begin = n * k / ranks;
  return {begin, n * (k + 1) / ranks - begin};
}

class Blocks {
 public:
  Blocks() = default;  // one block of nothing
  Blocks(std::size_t n, int p) : total_(n), ranks_(p) {}
  // Block i has counts[i] elements. The same on every rank.
  explicit Blocks(const std::vector<std::size_t>& counts);

  int size() const { return ranks_; }
  std::size_t total() const { return total_; }
  std::size_t largest() const;
  int owner_of(std::size_t i) const;  // the rank in whose block element i is
  // The same number for equal counts; 0 where they are near-equal by themselves.
  std::uint64_t layout() const { return layout_; }
  // i counts around the ring, so it may be negative or beyond p.
  Block operator[](int i) const {
    const int k = (i % ranks_ + ranks_) % ranks_;
    return begins_ ? given(k) : block_bounds(total_, ranks_, k);
  }

 private:
  Block given(int i) const;

  std::size_t total_ = 0;
  int ranks_ = 1;
  std::uint64_t layout_ = 0;
  std::shared_ptr<const std::vector<std::size_t>> begins_;  // p + 1 of them; null: near-equal
};

}  // namespace lockstep
