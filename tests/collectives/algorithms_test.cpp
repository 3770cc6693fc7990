// SPDX-License-Identifier: Apache-2.0
// Every algorithm of the table, on ranks that are threads, against serial arithmetic.
#include <atomic>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"
#include "tests/collectives/layout.hpp"
#include "tests/collectives/problem.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr int kRankCounts[] = {1, 2, 3, 4, 5, 7, 8};

// Ranks on each node; empty: all on one, as the transport says.
using Nodes = std::vector<int>;

// Calls body with a transport of that layout.
void with_layout(Transport& net, const Nodes& nodes, const std::function<void(Transport&)>& body) {
  if (nodes.empty()) return body(net);
  LayoutTransport layout(net, nodes);
  body(layout);
}

// The first mistake of any rank; empty if all is right.
std::string mistake(const Algorithm& algorithm, const Problem& problem, const Nodes& nodes,
                    ThreadReach reach = ThreadReach::everything) {
  std::vector<std::string> mistakes(static_cast<std::size_t>(problem.ranks));
  const auto body = [&](Transport& whole) {
    Side side(problem, whole.rank());
    const Call call = side.call();
    with_layout(whole, nodes, [&](Transport& net) {
      net.begin(call, {now() + 20});
      algorithm.run(net, call);
    });
    const bool holds = problem.what != Collective::reduce || whole.rank() == problem.root;
    if (holds) finish(call.out, problem.op, problem.ranks);
    mistakes[static_cast<std::size_t>(whole.rank())] = side.mistake();
  };
  on_ranks(problem.ranks, body, 20, reach);
  for (const std::string& m : mistakes) {
    if (!m.empty()) return m;
  }
  return "";
}

void check(const Algorithm& algorithm, const Problem& problem, const Nodes& nodes = {}) {
  if (problem.count() * size_of(problem.dtype) > algorithm.largest) return;
  INFO(algorithm.label << ": " << problem.text());
  CHECK(mistake(algorithm, problem, nodes) == "");
}

bool serves(const Algorithm& algorithm, int ranks, const Nodes& nodes = {}) {
  const auto transports = make_thread_transports(ranks);
  bool can = false;
  with_layout(*transports[0], nodes,
              [&](Transport& net) { can = !algorithm.refusal(net.shape()); });
  return can;
}

// Near-equal blocks of a count that the ranks divide where the collective needs that.
Blocks blocks_for(Collective what, std::size_t count, int ranks) {
  const auto p = static_cast<std::size_t>(ranks);
  return {what == Collective::all_to_all ? count * p : count, ranks};
}

}  // namespace

TEST_CASE("every algorithm equals serial arithmetic, for any count and root", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    for (int ranks : kRankCounts) {
      if (!serves(*algorithm, ranks)) continue;
      for (std::size_t count : counts_for(ranks)) {
        for (int root = 0; root < (has_root(algorithm->what) ? ranks : 1); ++root) {
          check(*algorithm, {.what = algorithm->what,
                             .ranks = ranks,
                             .blocks = blocks_for(algorithm->what, count, ranks),
                             .root = root});
        }
      }
    }
  }
}

TEST_CASE("messages go through slots where ranks may not read each other's memory", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    for (int ranks : {2, 3, 5}) {
      GroupShape group = make_thread_transports(ranks, ThreadReach::shared_only)[0]->shape();
      const std::size_t count = 30'000;  // several slots for each block
      const bool can = !algorithm->refusal(group) &&
                       std::isfinite(algorithm->seconds(group, 4.0 * count, {})) &&
                       4 * count <= algorithm->largest;
      if (!can) continue;
      const Problem problem{.what = algorithm->what,
                            .ranks = ranks,
                            .blocks = blocks_for(algorithm->what, count, ranks)};
      INFO(algorithm->label << ": " << problem.text());
      CHECK(mistake(*algorithm, problem, {}, ThreadReach::shared_only) == "");
    }
  }
}

TEST_CASE("every algorithm has every type and operation, in place and apart", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    for (int ranks : {1, 3, 4}) {
      if (!serves(*algorithm, ranks)) continue;
      for (DType dtype : kDTypes) {
        for (ReduceOp op : kReduceOps) {
          if (!reduces(algorithm->what) && op != ReduceOp::sum) continue;
          for (Place place : {Place::apart, Place::in_place}) {
            check(*algorithm, {.what = algorithm->what,
                               .ranks = ranks,
                               .blocks = blocks_for(algorithm->what, 77, ranks),
                               .dtype = dtype,
                               .op = op,
                               .root = ranks - 1,
                               .place = place});
          }
        }
      }
    }
  }
}

TEST_CASE("blocks may be uneven, and empty", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what == Collective::all_to_all) continue;  // equal blocks only
    for (const std::vector<std::size_t>& counts :
         {std::vector<std::size_t>{5, 0, 17}, {0, 0, 9}, {100, 1, 1, 0}, {0, 3, 0, 0, 4}}) {
      const Blocks blocks(counts);
      if (!serves(*algorithm, blocks.size())) continue;
      check(*algorithm, {.what = algorithm->what,
                         .ranks = blocks.size(),
                         .blocks = blocks,
                         .root = 1,
                         .place = Place::in_place});
      check(*algorithm,
            {.what = algorithm->what, .ranks = blocks.size(), .blocks = blocks, .root = 2});
    }
  }
}

namespace {

// The sum of normally distributed floats, as each rank has it.
std::vector<std::vector<float>> sums_of_floats(const Algorithm& algorithm, int ranks,
                                               const Nodes& nodes) {
  std::vector<std::vector<float>> results(static_cast<std::size_t>(ranks));
  on_ranks(ranks, [&](Transport& whole) {
    std::mt19937 random(static_cast<unsigned>(whole.rank()));
    std::normal_distribution<float> normal;
    std::vector<float> data(501);
    for (float& x : data)
      x = normal(random);
    const Call call = all_reduce_call(elements(data), elements(data), ReduceOp::sum, ranks);
    with_layout(whole, nodes, [&](Transport& net) {
      net.begin(call, {now() + 20});
      algorithm.run(net, call);
    });
    results[static_cast<std::size_t>(whole.rank())] = std::move(data);
  });
  return results;
}

// Of up to twelve ranks.
const Nodes kLayouts[] = {{2, 2}, {3, 3}, {2, 2, 2}, {3, 2}, {1, 2, 4}, {4, 4, 4}};

int ranks_of(const Nodes& nodes) {
  return std::accumulate(nodes.begin(), nodes.end(), 0);
}

}  // namespace

TEST_CASE("every all-reduce gives the same bits on every rank", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what != Collective::all_reduce) continue;
    std::vector<std::pair<int, Nodes>> groups;
    for (int ranks : kRankCounts)
      groups.push_back({ranks, {}});
    for (const Nodes& nodes : kLayouts)
      groups.push_back({ranks_of(nodes), nodes});
    for (const auto& [ranks, nodes] : groups) {
      if (!serves(*algorithm, ranks, nodes)) continue;
      const auto results = sums_of_floats(*algorithm, ranks, nodes);
      INFO(algorithm->label << " ranks " << ranks << " nodes " << nodes.size());
      for (const auto& result : results)
        CHECK(result == results[0]);
    }
  }
}

TEST_CASE("algorithms that know of nodes equal serial arithmetic", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (!algorithm->refusal({.ranks = 4, .shared_memory = true})) continue;  // needs no nodes
    for (const Nodes& nodes : kLayouts) {
      const int ranks = ranks_of(nodes);
      if (!serves(*algorithm, ranks, nodes)) continue;
      for (std::size_t count : counts_for(ranks)) {
        for (Place place : {Place::apart, Place::in_place}) {
          check(*algorithm,
                {.what = algorithm->what,
                 .ranks = ranks,
                 .blocks = blocks_for(algorithm->what, count, ranks),
                 .root = ranks / 2,
                 .place = place},
                nodes);
        }
      }
      for (DType dtype : kDTypes) {
        check(*algorithm,
              {.what = algorithm->what,
               .ranks = ranks,
               .blocks = blocks_for(algorithm->what, 77, ranks),
               .dtype = dtype},
              nodes);
      }
    }
  }
}

TEST_CASE("algorithms of segments equal serial arithmetic for several of them", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    const std::string_view name = algorithm->name();
    if (name != "segmented_ring" && name != "double_tree" && name != "chain") continue;
    for (int ranks : {2, 3, 4}) {
      const auto p = static_cast<std::size_t>(ranks);
      check(*algorithm, {.what = algorithm->what,
                         .ranks = ranks,
                         .blocks = Blocks(p * (5 * kSegmentBytes / 8) - 1, ranks),
                         .dtype = DType::int64,
                         .root = 1});
    }
  }
}

TEST_CASE("no rank leaves a barrier before the last has come", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what != Collective::barrier) continue;
    for (int ranks : kRankCounts) {
      if (!serves(*algorithm, ranks)) continue;
      std::atomic<int> arrived{0}, early{0};
      on_ranks(ranks, [&](Transport& net) {
        for (int round = 1; round <= 20; ++round) {
          ++arrived;
          algorithm->run(net, barrier_call());
          if (arrived < round * ranks) ++early;
          algorithm->run(net, barrier_call());  // nobody counts on before all have looked
        }
      });
      INFO(algorithm->label << " ranks " << ranks);
      CHECK(early == 0);
    }
  }
}

TEST_CASE("formulas price nothing for one rank, and more for more", "[unit]") {
  for (const Algorithm* algorithm : algorithms()) {
    INFO(name_of(algorithm->what) << " " << algorithm->label);
    const bool needs_two = algorithm->refusal({.ranks = 4, .shared_memory = true}) != nullptr;
    const auto group = [&](int ranks) {  // the algorithms of nodes have two
      const int nodes = needs_two && ranks > 2 ? 2 : 1;
      return GroupShape{
          .ranks = ranks, .nodes = nodes, .shared_memory = nodes == 1, .reads_private = true};
    };
    const auto seconds = [&](int ranks) { return algorithm->seconds(group(ranks), 1e6, {}); };
    CHECK(seconds(1) == 0);
    CHECK(seconds(2) > 0);
    CHECK(seconds(16) > seconds(2));
  }
}
