// SPDX-License-Identifier: Apache-2.0
// Who keeps whose copies, which step they are complete of, what is fetched from where.
#include "runtime/checkpoint/copies.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

using Ranks = std::vector<int>;

// Each rank offers its own shard and those that it keeps for others.
std::vector<std::vector<Offer>> offers_on(const Ranks& nodes, std::int64_t step) {
  const Ranks keepers = keepers_of(nodes);
  std::vector<std::vector<Offer>> all(nodes.size());
  for (std::size_t r = 0; r < nodes.size(); ++r) {
    Offer offer{.step = step, .sum = "a", .num_shards = nodes.size(), .shards = {r}};
    for (std::size_t ward = 0; ward < nodes.size(); ++ward)
      if (keepers[ward] == static_cast<int>(r)) offer.shards.push_back(ward);
    all[r] = {offer};
  }
  return all;
}

}  // namespace

TEST_CASE("a shard's second copy is on another node, and no rank keeps many") {
  CHECK(keepers_of({0, 0, 1, 1}) == Ranks{2, 3, 0, 1});
  CHECK(keepers_of({0, 0, 0}) == Ranks{-1, -1, -1});
  CHECK(keepers_of({0}) == Ranks{-1});
  const Ranks layouts[] = {
      {0, 1}, {0, 0, 1, 1, 2, 2}, {0, 1, 0, 1}, {0, 0, 0, 1}, {2, 2, 0, 1, 1, 1}};
  for (const Ranks& nodes : layouts) {
    const Ranks keepers = keepers_of(nodes);
    for (std::size_t r = 0; r < nodes.size(); ++r)
      CHECK(nodes[static_cast<std::size_t>(keepers[r])] != nodes[r]);
  }
  const Ranks uneven = keepers_of({0, 0, 0, 1});
  CHECK(std::count(uneven.begin(), uneven.end(), 3) == 3);
}

TEST_CASE("any one node may be lost, two neighbours may not") {
  const Ranks nodes{0, 0, 1, 1, 2, 2, 3, 3};
  std::string missing;
  for (int lost = -1; lost < 4; ++lost) {
    auto offers = offers_on(nodes, 12);
    for (std::size_t r = 0; r < nodes.size(); ++r)
      if (nodes[r] == lost) offers[r].clear();
    const auto found = newest_complete(offers, missing);
    INFO("without node " << lost);
    REQUIRE(found);
    CHECK(found->step == 12);
    CHECK(missing.empty());
  }
  auto offers = offers_on(nodes, 12);
  for (const std::size_t r : {2, 3, 4, 5})
    offers[r].clear();
  CHECK_FALSE(newest_complete(offers, missing));
  CHECK(missing == "shard 2 of step 12 is on no node");
  CHECK_FALSE(newest_complete({{}, {}}, missing));
  CHECK(missing.empty());
}

TEST_CASE("the newest step counts that all shards are there of, of one life") {
  std::string missing;
  auto offers = offers_on({0, 1}, 8);
  offers[0].push_back({.step = 10, .sum = "a", .num_shards = 2, .shards = {0}});
  CHECK(newest_complete(offers, missing)->step == 8);
  CHECK(missing == "shard 1 of step 10 is on no node");
  offers[1].push_back({.step = 10, .sum = "of another life", .num_shards = 2, .shards = {1}});
  CHECK(newest_complete(offers, missing)->step == 8);
  offers[1].push_back({.step = 10, .sum = "a", .num_shards = 2, .shards = {1}});
  CHECK(newest_complete(offers, missing)->step == 10);
  CHECK(missing.empty());
}

TEST_CASE("what a node has is not fetched, what it lacks comes once") {
  const Ranks nodes{0, 0, 1, 1};
  std::string missing;
  auto offers = offers_on(nodes, 4);
  CHECK(fetches_of(*newest_complete(offers, missing), {{0}, {1, 2}, {3}, {0, 1}}, nodes).empty());
  offers[0].clear();
  offers[1].clear();
  const auto fetches =
      fetches_of(*newest_complete(offers, missing), {{0, 1}, {1, 3}, {2}, {3}}, nodes);
  CHECK(fetches == std::vector<Fetch>{{0, 2, 0}, {1, 3, 1}, {3, 3, 0}});
}
