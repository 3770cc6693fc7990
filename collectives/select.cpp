// SPDX-License-Identifier: Apache-2.0
#include "collectives/select.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

void check_known(const std::string& name) {
  std::set<std::string_view> names{"auto"};
  for (const Algorithm* algorithm : algorithms())
    names.insert(algorithm->name());
  if (names.contains(name)) return;
  std::string allowed;
  for (std::string_view known : names)
    (allowed += allowed.empty() ? "" : ", ") += known;
  throw ConfigError("collectives.algorithm = \"" + name + "\" is unknown; allowed: " + allowed);
}

}  // namespace

Selector::Selector(std::string algorithm, const GroupShape& group, const Links& links)
    : algorithm_(std::move(algorithm)), group_(group), links_(links) {
  check_known(algorithm_);
}

bool Selector::serves(const Algorithm& algorithm, const Call& call) const {
  return algorithm.what == call.what && !algorithm.refusal(group_) &&
         call.bytes() <= algorithm.largest;
}

Choice Selector::priced(const Algorithm& algorithm, const Call& call) const {
  GroupShape group = group_;
  group.memory = call.memory;
  return {algorithm.label, &algorithm,
          algorithm.seconds(group, static_cast<double>(call.bytes()), links_)};
}

std::vector<Choice> Selector::candidates(const Call& call) const {
  std::vector<Choice> choices;
  for (const Algorithm* algorithm : algorithms()) {
    if (serves(*algorithm, call)) choices.push_back(priced(*algorithm, call));
  }
  std::stable_sort(choices.begin(), choices.end(),
                   [](const Choice& a, const Choice& b) { return a.seconds < b.seconds; });
  return choices;
}

Choice Selector::choose(const Call& call) const {
  const Algorithm* named = find_algorithm(call.what, algorithm_);
  if (named && serves(*named, call)) return priced(*named, call);
  const std::vector<Choice> choices = candidates(call);
  return choices.empty() ? Choice{.label = "native"} : choices.front();
}

}  // namespace lockstep
