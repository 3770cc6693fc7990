// SPDX-License-Identifier: Apache-2.0
// How an element was added up, as a number per distinct sum: 0 is no contribution, r+1 that of rank
// r. a+b and b+a are one sum, because they have the same bits; a+b+c in one go (`in_turn`) may be
// rounded in another way than pair by pair, and is a sum of its own.
#pragma once

#include <bit>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lockstep {

class Sums {
 public:
  using Number = std::uint32_t;
  enum class Way : std::uint8_t { pairwise, in_turn };

  explicit Sums(int ranks) : words_((index(ranks) + 63) / 64), sets_((index(ranks) + 1) * words_) {
    for (std::size_t r = 0; r < index(ranks); ++r)
      sets_[(r + 1) * words_ + r / 64] = std::uint64_t{1} << r % 64;
  }

  Number add(Number a, Number b, Way way) {
    if (way == Way::pairwise && a > b) std::swap(a, b);
    const auto [found, fresh] =
        known_[static_cast<int>(way)].try_emplace(std::uint64_t{a} << 32 | b, next());
    if (fresh) {
      for (std::size_t w = 0; w < words_; ++w)
        sets_.push_back(sets_[a * words_ + w] | sets_[b * words_ + w]);
    }
    return found->second;
  }

  // The lowest rank that both hold; -1 if they hold none.
  int common(Number a, Number b) const {
    for (std::size_t w = 0; w < words_; ++w) {
      const std::uint64_t both = sets_[a * words_ + w] & sets_[b * words_ + w];
      if (both) return static_cast<int>(w * 64) + std::countr_zero(both);
    }
    return -1;
  }
  // The lowest rank that is in no part of it; `ranks` if all are.
  int lacks(Number a, int ranks) const {
    int r = 0;
    while (r < ranks && sets_[a * words_ + index(r) / 64] >> r % 64 & 1)
      ++r;
    return r;
  }

 private:
  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
  Number next() const { return static_cast<Number>(sets_.size() / words_); }

  std::size_t words_;
  std::vector<std::uint64_t> sets_;
  std::unordered_map<std::uint64_t, Number> known_[2];
};

}  // namespace lockstep
