// SPDX-License-Identifier: Apache-2.0
// Which window of the corpus is the i-th sample since the start of training. Each epoch visits
// every window once, in an order of its own. The order is a pseudo-random permutation computed per
// sample (a Feistel network with cycle walking), so it needs O(1) memory, any sample can be found
// without those before it, and it is the same on every rank of every layout.
//
// J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
#pragma once

#include <cstdint>

namespace lockstep {

class SampleOrder {
 public:
  SampleOrder(std::int64_t num_windows, std::int64_t seed);

  std::int64_t num_windows() const { return num_windows_; }
  std::int64_t epoch(std::int64_t sample) const { return sample / num_windows_; }
  // In [0, num_windows). Costs at most 4 walks of 8 rounds on average, below a microsecond.
  std::int64_t window(std::int64_t sample) const;

 private:
  std::int64_t num_windows_, seed_;
  int half_bits_;  // the network permutes numbers of 2 x half_bits, fewer than 4 x num_windows
};

}  // namespace lockstep
