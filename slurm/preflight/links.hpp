// SPDX-License-Identifier: Apache-2.0
// Bandwidth between all pairs of nodes, or of the ranks of a single node, in a few seconds.
//
//   rounds  n - 1 (n even) or n: in each, every participant talks to one other, both ways at once
//   time    the given seconds, divided evenly over the rounds
#pragma once

#include <utility>
#include <vector>

#include "runtime/context/context.hpp"

namespace lockstep::slurm {

// Who meets whom in round r of a tournament in which each pair meets once (the circle method):
// partner[r][i], -1 for the one that rests when n is odd. Pure.
std::vector<std::vector<int>> tournament(int n);

struct LinkRates {
  bool of_nodes = false;                   // else of the ranks of one node
  std::vector<std::vector<double>> rates;  // [n][n] bytes/s each way, 0 on the diagonal; on rank 0
};

// Collective.
LinkRates measure_links(const Context& context, double seconds);

}  // namespace lockstep::slurm
