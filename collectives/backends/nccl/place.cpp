// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/nccl/place.hpp"

#include <algorithm>
#include <map>

namespace lockstep::nccl {

GroupShape shape_of(const std::vector<int>& nodes) {
  std::map<int, int> on_node;
  for (const int node : nodes)
    ++on_node[node];
  const auto [least, most] =
      std::minmax_element(on_node.begin(), on_node.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; });
  return {.ranks = static_cast<int>(nodes.size()),
          .nodes = static_cast<int>(on_node.size()),
          .even = least->second == most->second};
}

std::vector<int> nodes_of_part(const std::vector<int>& nodes, const std::vector<int>& colors,
                               int rank) {
  std::map<int, int> number;
  std::vector<int> part;
  for (std::size_t r = 0; r < nodes.size(); ++r) {
    if (colors[r] != colors[static_cast<std::size_t>(rank)]) continue;
    part.push_back(number.emplace(nodes[r], static_cast<int>(number.size())).first->second);
  }
  return part;
}

}  // namespace lockstep::nccl
