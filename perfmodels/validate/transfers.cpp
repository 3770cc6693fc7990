// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/validate/transfers.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

namespace lockstep {

bool is_message(const MeasuredOperation& call) {
  return call.operation.group && call.operation.group->name == "pipeline";
}

std::vector<double> transfers_of(const MeasuredTrace& trace) {
  using Turn = std::pair<std::string, std::size_t>;         // group, k
  std::map<std::pair<int, std::string>, std::size_t> made;  // by each rank, in each group
  std::map<Turn, double> least;
  std::vector<Turn> turns;
  for (const MeasuredOperation& m : trace.operations) {
    turns.emplace_back();
    const Operation& o = m.operation;
    if (o.kind != OperationKind::collective || is_message(m) || !o.group) continue;
    Turn& turn = turns.back();
    turn = {o.group->name, made[{m.rank, o.group->name}]++};
    const auto [found, is_new] = least.try_emplace(turn, m.seconds);
    if (!is_new) found->second = std::min(found->second, m.seconds);
  }
  std::vector<double> seconds;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const bool alone = turns[i].first.empty();
    seconds.push_back(alone ? trace.operations[i].seconds : least.at(turns[i]));
  }
  return seconds;
}

}  // namespace lockstep
