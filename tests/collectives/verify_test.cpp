// SPDX-License-Identifier: Apache-2.0
// Every algorithm of the table is proven, for many groups and counts.
#include "collectives/verify.hpp"

#include <numeric>
#include <set>

#include "collectives/algorithms/patterns.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

bool has_root(Collective what) {
  return what == Collective::broadcast || what == Collective::reduce ||
         what == Collective::gather || what == Collective::scatter;
}

std::string text(const GroupCall& call) {
  std::string nodes;
  for (const int n : call.ranks_per_node)
    nodes += " " + std::to_string(n);
  return std::string(name_of(call.what)) + " of " + std::to_string(call.blocks.total()) + ", " +
         std::to_string(call.ranks()) + " ranks, root " + std::to_string(call.root) +
         (call.buffers == Buffers::in_place ? ", in place" : "") +
         (nodes.empty() ? "" : ", nodes of" + nodes) + ", sharing " +
         std::to_string(static_cast<int>(call.sharing));
}

bool shares_memory(const Schedule& schedule) {
  for (const Track& track : schedule.ranks) {
    for (const TrackEvent& event : track.events) {
      if (event.what >= TrackEvent::What::barrier) return true;
    }
  }
  return false;
}

// How often it was proven, with every way to share memory that makes a difference to the algorithm.
// Catch2 hears of errors only: it is slower than the verifier.
int check(const Algorithm& algorithm, GroupCall call) {
  int proofs = 0;
  for (Sharing sharing : {Sharing::none, Sharing::fetched, Sharing::addressable}) {
    call.sharing = sharing;
    if (!call.served_by(algorithm)) continue;
    const Schedule schedule = record(algorithm, call);
    if (sharing != Sharing::none && !shares_memory(schedule)) continue;
    const std::string error = verify(schedule);
    ++proofs;
    if (error.empty()) continue;
    INFO(algorithm.label << ": " << text(call));
    CHECK(error == "");
  }
  return proofs;
}

int check_roots(const Algorithm& algorithm, GroupCall call) {
  int proofs = 0;
  const int p = call.ranks();
  const std::set<int> roots = has_root(call.what) ? std::set<int>{0, p / 2, p - 1} : std::set{0};
  for (const int root : roots) {
    call.root = root;
    for (Buffers buffers : {Buffers::apart, Buffers::in_place}) {
      call.buffers = buffers;
      proofs += check(algorithm, call);
    }
  }
  return proofs;
}

std::set<std::size_t> counts_for(Collective what, int ranks) {
  if (what == Collective::barrier) return {0};
  const auto p = static_cast<std::size_t>(ranks);
  std::set<std::size_t> counts;
  for (std::size_t n : {std::size_t{0}, std::size_t{1}, p - 1, p, p + 1, std::size_t{1000}})
    counts.insert(what == Collective::all_to_all ? n * p : n);
  return counts;
}

std::vector<int> rank_counts() {
  std::vector<int> counts;
  for (int p = 1; p <= 17; ++p)
    counts.push_back(p);
  counts.insert(counts.end(), {32, 33});
  return counts;
}

}  // namespace

TEST_CASE("every algorithm is proven, for any number of ranks and any count", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->refusal({.ranks = 4, .shared_memory = true})) continue;  // needs nodes
    for (int p : rank_counts()) {
      if (algorithm->refusal({.ranks = p, .shared_memory = true})) continue;
      int proofs = 0;
      for (std::size_t n : counts_for(algorithm->what, p))
        proofs += check_roots(*algorithm, {.what = algorithm->what, .blocks = Blocks(n, p)});
      INFO(algorithm->label << ", " << p << " ranks");
      CHECK(proofs >= (algorithm->what == Collective::barrier ? 1 : 4));
    }
  }
}

TEST_CASE("every algorithm is proven where ranks lie on several nodes", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    int proofs = 0;
    for (const std::vector<int>& nodes :
         {std::vector{2, 2}, {3, 3}, {2, 2, 2}, {4, 4, 4}, {8, 8}, {3, 2}, {1, 2, 4}, {1, 1, 1}}) {
      const int p = std::accumulate(nodes.begin(), nodes.end(), 0);
      for (std::size_t n : counts_for(algorithm->what, p)) {
        proofs += check_roots(
            *algorithm, {.what = algorithm->what, .blocks = Blocks(n, p), .ranks_per_node = nodes});
      }
    }
    INFO(name_of(algorithm->what) << " " << algorithm->label);
    const bool one_node_only = algorithm->refusal({.ranks = 4, .nodes = 2}) != nullptr;
    CHECK((proofs > 0) == !one_node_only);
  }
}

TEST_CASE("every algorithm is proven for uneven and empty blocks", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what == Collective::all_to_all) continue;  // equal blocks only
    for (const std::vector<std::size_t>& counts : {std::vector<std::size_t>{5, 0, 17},
                                                   {0, 0, 9},
                                                   {100, 1, 1, 0},
                                                   {0, 3, 0, 0, 4},
                                                   {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}) {
      check_roots(*algorithm, {.what = algorithm->what, .blocks = Blocks(counts)});
    }
  }
  SUCCEED();
}

TEST_CASE("algorithms of segments are proven for several of them", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    const std::string_view name = algorithm->name();
    if (name != "segmented_ring" && name != "double_tree" && name != "chain") continue;
    for (int p : {2, 3, 4, 5, 8}) {
      for (int segments : {1, 2, 3, 5}) {
        // Of 8 bytes per element; in the ring every block has as many segments.
        const std::size_t n =
            kSegmentBytes / 8 * static_cast<std::size_t>(segments * p) - (segments == 3 ? 1 : 0);
        const int proofs = check(
            *algorithm, {.what = algorithm->what, .blocks = Blocks(n, p), .dtype = DType::int64});
        CHECK(proofs == 1);
      }
    }
  }
}
