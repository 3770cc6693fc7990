// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/turns.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"

using namespace lockstep;

TEST_CASE("in rounds that are too short for all, all are visited equally often") {
  constexpr std::size_t kItems = 20, kFitting = 7;
  Turns turns;
  std::vector<std::size_t> visits(kItems, 1);
  for (int round = 0; round < 50; ++round) {
    const std::vector<std::size_t> order = turns.next(visits);
    for (std::size_t k = 0; k < kFitting; ++k)
      ++visits[order[k]];
    const auto [least, most] = std::minmax_element(visits.begin(), visits.end());
    REQUIRE(*most - *least <= 1);
  }
}

TEST_CASE("no round has the order of the last, and each has all items") {
  const std::vector<std::size_t> visits(50, 3);
  Turns turns;
  std::vector<std::size_t> before;
  for (int round = 0; round < 10; ++round) {
    std::vector<std::size_t> order = turns.next(visits);
    CHECK(order != before);
    before = order;
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i)
      CHECK(order[i] == i);
  }
}
