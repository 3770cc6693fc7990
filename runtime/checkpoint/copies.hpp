// SPDX-License-Identifier: Apache-2.0
// Copies of shards in the memory of nodes: who keeps whose, which step they are complete of, what
// is to be fetched from where. Pure arithmetic over ranks and nodes.
//
// Z. Wang et al., "Gemini", SOSP 2023: a shard in the memory of its own machine and of another one
// outlives the loss of any one machine; of more, what they were not neighbours in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lockstep {

// For each rank the one that keeps its second copy: on the next node, at the same place there.
// With ranks in blocks that is rank + ranks per node. -1 where there is only one node.
std::vector<int> keepers_of(const std::vector<int>& node_of_rank);

// What a rank found whole of one step on its node.
struct Offer {
  std::int64_t step = 0;
  std::string sum;  // of the manifest: copies of one step may be those of different lives
  std::size_t num_shards = 0;
  std::vector<std::size_t> shards{};
};

struct CompleteCopies {
  std::int64_t step = 0;
  std::string sum;
  std::vector<std::vector<int>> holders{};  // of each shard, ranks that offered it
};

// The newest step whose shards are all offered. `missing` says what a newer one lacks, or the
// newest one where there is none; it is empty when there is no offer at all.
std::optional<CompleteCopies> newest_complete(const std::vector<std::vector<Offer>>& of_rank,
                                              std::string& missing);

// Shards that nodes need and do not have: each goes from a rank that has it to one of the node.
struct Fetch {
  std::size_t shard = 0;
  int from = 0, to = 0;
  bool operator==(const Fetch&) const = default;
};
// `needed`: by rank.
std::vector<Fetch> fetches_of(const CompleteCopies& copies,
                              const std::vector<std::vector<std::size_t>>& needed,
                              const std::vector<int>& node_of_rank);

}  // namespace lockstep
