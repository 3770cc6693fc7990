// SPDX-License-Identifier: Apache-2.0
#include "runtime/failures/stragglers.hpp"

#include <algorithm>
#include <vector>

namespace lockstep {

namespace {

constexpr double kLeastShare = 0.05;

// Of an even number the lower one: of two ranks the faster is the measure.
double median_of(std::span<const float> values) {
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted[(sorted.size() - 1) / 2];
}

}  // namespace

std::optional<Straggler> find_straggler(std::span<const float> own, double step_seconds,
                                        double factor) {
  const auto slowest = std::max_element(own.begin(), own.end());
  Straggler found{.rank = static_cast<int>(slowest - own.begin()),
                  .seconds = *slowest,
                  .median = median_of(own)};
  found.share = (found.seconds - found.median) / step_seconds;
  if (found.seconds <= factor * found.median || found.share < kLeastShare) return std::nullopt;
  return found;
}

}  // namespace lockstep
