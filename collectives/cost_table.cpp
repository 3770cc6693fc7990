// SPDX-License-Identifier: Apache-2.0
#include "collectives/cost_table.hpp"

#include <algorithm>
#include <cmath>

namespace lockstep {

namespace {

double between(const std::vector<CostRow::Point>& points, double bytes) {
  const auto above = std::find_if(points.begin(), points.end(),
                                  [&](const CostRow::Point& p) { return p.bytes >= bytes; });
  if (above == points.begin()) return above->seconds;
  const CostRow::Point& low = *(above - 1);
  if (above == points.end()) return low.seconds * bytes / low.bytes;
  const double share = std::log(bytes / low.bytes) / std::log(above->bytes / low.bytes);
  return low.seconds * std::pow(above->seconds / low.seconds, share);
}

}  // namespace

std::optional<double> CostTable::seconds(Collective what, std::string_view label,
                                         const GroupShape& group, double bytes) const {
  for (const CostRow& row : rows) {
    const bool same = row.what == what && row.label == label && row.ranks == group.ranks &&
                      row.nodes == group.nodes && row.memory == group.memory;
    if (!same) continue;
    const bool barrier = what == Collective::barrier;  // of no bytes: one point
    return barrier ? row.points.front().seconds : between(row.points, bytes);
  }
  return std::nullopt;
}

GroupShape CostTable::as_there(GroupShape group) const {
  group.crowded = crowded;
  if (shared_memory) return group;
  group.shared_memory = group.shared_inside = group.reads_private = false;
  return group;
}

}  // namespace lockstep
