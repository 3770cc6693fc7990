// SPDX-License-Identifier: Apache-2.0
// What is known beforehand about the machine that a job runs on, as plain data: the constants of
// the formulas, prices of single algorithms and of the MPI library, and how its ranks lie. Filled
// from a machine profile (perfmodels/cost_table.hpp); the same on every rank, since choices are
// made with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectives/links.hpp"

namespace lockstep {

// One algorithm of one operation among such ranks.
struct CostRow {
  Collective what = Collective::all_reduce;
  std::string label{};  // "native/ring", "mpi"
  int ranks = 1, nodes = 1;
  MemoryKind memory = MemoryKind::plain;
  struct Point {
    double bytes = 0, seconds = 0;  // of the full vector; both above 0
  };
  std::vector<Point> points{};  // ascending, at least one
};

struct CostTable {
  Links links{};
  std::vector<CostRow> rows{};
  int ranks_per_node = 1;      // neighbours in rank order
  bool shared_memory = false;  // among the ranks of a node
  bool crowded = false;        // more of them than cores

  // Logarithms are interpolated; beyond the ends the time is that of the first point, and grows
  // with the bytes behind the last. Nothing: there is no row of this label and group.
  std::optional<double> seconds(Collective what, std::string_view label, const GroupShape& group,
                                double bytes) const;
  // Such a group, sharing memory or not as on this machine.
  GroupShape as_there(GroupShape group) const;
};

}  // namespace lockstep
