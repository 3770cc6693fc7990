// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/gpu_choice.hpp"

#include <algorithm>
#include <map>

namespace lockstep {

int gpu_of(const RankOnNode& rank) {
  return rank.gpus.empty() ? -1 : rank.local_rank % static_cast<int>(rank.gpus.size());
}

int most_ranks_on_a_gpu(const std::vector<RankOnNode>& ranks) {
  std::map<std::string, int> users;
  int most = 0;
  for (const RankOnNode& rank : ranks) {
    const int gpu = gpu_of(rank);
    if (gpu >= 0) most = std::max(most, ++users[rank.gpus[static_cast<std::size_t>(gpu)]]);
  }
  return most;
}

}  // namespace lockstep
