// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/turns.hpp"

#include <algorithm>
#include <numeric>

namespace lockstep {

std::vector<std::size_t> Turns::next(std::span<const std::size_t> visits) {
  std::vector<std::size_t> order(visits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random_);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return visits[a] < visits[b]; });
  return order;
}

}  // namespace lockstep
