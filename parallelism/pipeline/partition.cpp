// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/partition.hpp"

#include <algorithm>
#include <limits>

#include "runtime/base/error.hpp"

namespace lockstep {

std::vector<int> partition(const std::vector<double>& costs, int parts) {
  const int n = static_cast<int>(costs.size());
  expect(1 <= parts && parts <= n, "a part of a pipeline without a layer");
  std::vector<double> before(costs.size() + 1);  // cost of the first i layers
  for (std::size_t i = 0; i < costs.size(); ++i)
    before[i + 1] = before[i] + costs[i];

  // least[k][i]: the largest part where the layers from i on make k parts; end[k][i]: of the first.
  const auto wide = static_cast<std::size_t>(n) + 1;
  std::vector<std::vector<double>> least(static_cast<std::size_t>(parts) + 1,
                                         std::vector<double>(wide));
  std::vector<std::vector<int>> end(static_cast<std::size_t>(parts) + 1, std::vector<int>(wide, n));
  for (int i = 0; i < n; ++i)
    least[1][static_cast<std::size_t>(i)] = before.back() - before[static_cast<std::size_t>(i)];
  for (std::size_t k = 2; k <= static_cast<std::size_t>(parts); ++k) {
    for (int i = n - static_cast<int>(k); i >= 0; --i) {
      double best = std::numeric_limits<double>::infinity();
      for (int j = i + 1; j + static_cast<int>(k) - 1 <= n; ++j) {
        const double first =
            before[static_cast<std::size_t>(j)] - before[static_cast<std::size_t>(i)];
        const double largest = std::max(first, least[k - 1][static_cast<std::size_t>(j)]);
        if (largest < best * (1 - 1e-9)) {
          best = largest;
          end[k][static_cast<std::size_t>(i)] = j;
        }
        if (first >= best) break;
      }
      least[k][static_cast<std::size_t>(i)] = best;
    }
  }
  std::vector<int> cuts{0};
  for (std::size_t k = static_cast<std::size_t>(parts); k >= 1; --k)
    cuts.push_back(k == 1 ? n : end[k][static_cast<std::size_t>(cuts.back())]);
  return cuts;
}

}  // namespace lockstep
