// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/turns.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("in rounds that are too short for all, all are visited equally often") {
  constexpr std::size_t kItems = 20, kFitting = 7;
  Turns turns;
  std::vector<Waiting> items(kItems, {.visits = 1});
  for (int round = 0; round < 50; ++round) {
    const std::vector<std::size_t> order = turns.next(items);
    for (std::size_t k = 0; k < kFitting; ++k)
      ++items[order[k]].visits;
    const auto [least, most] =
        std::minmax_element(items.begin(), items.end(),
                            [](const Waiting& a, const Waiting& b) { return a.visits < b.visits; });
    REQUIRE(most->visits - least->visits <= 1);
  }
}

TEST_CASE("no round has the order of the last, and each has all items") {
  const std::vector<Waiting> items(50, {.visits = 3});
  Turns turns;
  std::vector<std::size_t> before;
  for (int round = 0; round < 10; ++round) {
    std::vector<std::size_t> order = turns.next(items);
    CHECK(order != before);
    before = order;
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i)
      CHECK(order[i] == i);
  }
}

TEST_CASE("items of a line are one after the other, those of the line with fewer visits first") {
  constexpr std::size_t kItems = 30, kLines = 3, kLate = 7;
  std::vector<Waiting> items(kItems, {.visits = 2});
  for (std::size_t i = 0; i < kItems; ++i)
    items[i].line = i % 2 == 0 ? "" : "line " + std::to_string(i % kLines);
  items[kLate].visits = 1;
  Turns turns;
  for (int round = 0; round < 10; ++round) {
    const std::vector<std::size_t> order = turns.next(items);
    CHECK(items[order.front()].line == items[kLate].line);
    for (std::size_t line = 0; line < kLines; ++line) {
      std::vector<std::size_t> places;
      for (std::size_t k = 0; k < kItems; ++k) {
        if (items[order[k]].line == "line " + std::to_string(line)) places.push_back(k);
      }
      CHECK(places.size() == kItems / 2 / kLines);
      CHECK(places.back() - places.front() + 1 == places.size());
    }
  }
}
