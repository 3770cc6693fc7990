// SPDX-License-Identifier: Apache-2.0
// Which GPU a rank takes: that of its number among the ranks of its node, of those that it may use.
// So CUDA_VISIBLE_DEVICES and Slurm's binding hold, whether ranks see all GPUs of the node, a share
// of them, or each its own. Pure arithmetic.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

struct RankOnNode {
  int local_rank = 0;
  std::vector<std::string> gpus{};  // unique ids, in the order in which the process numbers them
};

int gpu_of(const RankOnNode& rank);  // -1: there is none
// The most ranks that one GPU gets, of all nodes.
int most_ranks_on_a_gpu(const std::vector<RankOnNode>& ranks);

}  // namespace lockstep
