// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/sample_order.hpp"

#include <bit>

#include "runtime/base/error.hpp"
#include "runtime/base/philox.hpp"

namespace lockstep {

namespace {

// One pass of a balanced Feistel network: a bijection of numbers of 2 x half_bits. Four rounds are
// enough for large domains; eight also mix domains of a few windows well.
std::uint64_t feistel(std::uint64_t x, std::uint64_t key, int half_bits) {
  constexpr std::uint64_t kRounds = 8;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t left = x >> half_bits, right = x & mask;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::uint64_t mixed = left ^ (philox(key, right, round).word[0] & mask);
    left = right;
    right = mixed;
  }
  return (left << half_bits) | right;
}

}  // namespace

SampleOrder::SampleOrder(std::int64_t num_windows, std::int64_t seed)
    : num_windows_(num_windows), seed_(seed) {
  expect(num_windows > 0, "an order needs a window");
  half_bits_ = (std::bit_width(static_cast<std::uint64_t>(num_windows - 1)) + 1) / 2;
}

std::int64_t SampleOrder::window(std::int64_t sample) const {
  const std::uint64_t key = random_key(seed_, RandomPurpose::data_order, epoch(sample) + 1);
  std::uint64_t x = sample % num_windows_;
  do {  // leave the range, come back: the walk stays a bijection of the range
    x = feistel(x, key, half_bits_);
  } while (x >= static_cast<std::uint64_t>(num_windows_));
  return static_cast<std::int64_t>(x);
}

}  // namespace lockstep
