// SPDX-License-Identifier: Apache-2.0
// The ranks of a group on their nodes.
#pragma once

#include <vector>

#include "collectives/links.hpp"

namespace lockstep::nccl {

// `nodes` of all ranks, numbered from 0 in the order of their lowest rank.
GroupShape shape_of(const std::vector<int>& nodes);
// Those of the ranks whose color is that of `rank`, numbered anew.
std::vector<int> nodes_of_part(const std::vector<int>& nodes, const std::vector<int>& colors,
                               int rank);

}  // namespace lockstep::nccl
