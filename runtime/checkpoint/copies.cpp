// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/copies.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

std::map<int, std::vector<int>> ranks_by_node(const std::vector<int>& node_of_rank) {
  std::map<int, std::vector<int>> ranks;
  for (std::size_t r = 0; r < node_of_rank.size(); ++r)
    ranks[node_of_rank[r]].push_back(static_cast<int>(r));
  return ranks;
}

}  // namespace

std::vector<int> keepers_of(const std::vector<int>& node_of_rank) {
  const auto nodes = ranks_by_node(node_of_rank);
  std::vector<int> keepers(node_of_rank.size(), -1);
  if (nodes.size() < 2) return keepers;
  for (auto node = nodes.begin(); node != nodes.end(); ++node) {
    const auto next = std::next(node) == nodes.end() ? nodes.begin() : std::next(node);
    for (std::size_t i = 0; i < node->second.size(); ++i) {
      keepers[static_cast<std::size_t>(node->second[i])] = next->second[i % next->second.size()];
    }
  }
  return keepers;
}

std::optional<CompleteCopies> newest_complete(const std::vector<std::vector<Offer>>& of_rank,
                                              std::string& missing) {
  std::map<std::pair<std::int64_t, std::string>, CompleteCopies> found;
  for (std::size_t rank = 0; rank < of_rank.size(); ++rank) {
    for (const Offer& offer : of_rank[rank]) {
      CompleteCopies& copies = found[{offer.step, offer.sum}];
      copies.step = offer.step;
      copies.sum = offer.sum;
      copies.holders.resize(std::max(copies.holders.size(), offer.num_shards));
      for (const std::size_t shard : offer.shards)
        if (shard < copies.holders.size()) copies.holders[shard].push_back(static_cast<int>(rank));
    }
  }
  missing.clear();
  std::int64_t newest = 0;
  for (auto copies = found.rbegin(); copies != found.rend(); ++copies) {
    const auto& holders = copies->second.holders;
    const auto gap =
        std::find_if(holders.begin(), holders.end(), [](const auto& h) { return h.empty(); });
    if (gap == holders.end()) {
      if (copies->second.step == newest) missing.clear();
      return copies->second;
    }
    if (missing.empty()) {
      newest = copies->second.step;
      missing = format("shard %lld of step %lld is on no node",
                       static_cast<long long>(gap - holders.begin()),
                       static_cast<long long>(copies->second.step));
    }
  }
  return std::nullopt;
}

std::vector<Fetch> fetches_of(const CompleteCopies& copies,
                              const std::vector<std::vector<std::size_t>>& needed,
                              const std::vector<int>& node_of_rank) {
  const auto node_of = [&](int rank) { return node_of_rank[static_cast<std::size_t>(rank)]; };
  std::vector<Fetch> fetches;
  for (const auto& [node, ranks] : ranks_by_node(node_of_rank)) {
    std::set<std::size_t> wanted;
    for (const int rank : ranks)
      wanted.insert(needed[static_cast<std::size_t>(rank)].begin(),
                    needed[static_cast<std::size_t>(rank)].end());
    for (const std::size_t shard : wanted) {
      const std::vector<int>& holders = copies.holders[shard];
      const bool here = std::any_of(holders.begin(), holders.end(),
                                    [&, n = node](int holder) { return node_of(holder) == n; });
      if (here) continue;
      const std::size_t i = fetches.size();  // sources and takers in turns
      fetches.push_back({shard, holders[i % holders.size()], ranks[i % ranks.size()]});
    }
  }
  return fetches;
}

}  // namespace lockstep
