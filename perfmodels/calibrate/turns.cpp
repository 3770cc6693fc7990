// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/turns.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace lockstep {

// A line's turn is that of its first item, by chance, and before those whose items all had more.
std::vector<std::size_t> Turns::next(std::span<const Waiting> items) {
  std::vector<std::size_t> order(items.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random_);
  using Turn = std::pair<std::size_t, std::size_t>;  // fewest visits, place
  std::map<std::string, Turn> of_line;
  std::vector<Turn> of_item(items.size());
  for (std::size_t place = 0; place < order.size(); ++place) {
    const Waiting& item = items[order[place]];
    of_item[order[place]] = {item.visits, place};
    if (item.line.empty()) continue;
    Turn& turn = of_line.insert({item.line, {item.visits, place}}).first->second;
    turn.first = std::min(turn.first, item.visits);
  }
  const auto turn = [&](std::size_t i) {
    return items[i].line.empty() ? of_item[i] : of_line.at(items[i].line);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return turn(a) < turn(b); });
  return order;
}

}  // namespace lockstep
