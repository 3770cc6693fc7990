// SPDX-License-Identifier: Apache-2.0
#include "collectives/select.hpp"

#include <set>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

std::set<std::string_view> known_names() {
  std::set<std::string_view> names{"auto"};
  auto add = [&](const auto& table) {
    for (const auto& algorithm : table)
      names.insert(algorithm.name());
  };
  add(kAllReduceAlgorithms);
  add(kReduceScatterAlgorithms);
  add(kAllGatherAlgorithms);
  add(kBroadcastAlgorithms);
  add(kBarrierAlgorithms);
  return names;
}

void check_known(const std::string& algorithm) {
  const std::set<std::string_view> names = known_names();
  if (names.contains(algorithm)) return;
  std::string allowed;
  for (std::string_view name : names)
    (allowed += allowed.empty() ? "" : ", ") += name;
  throw ConfigError("collectives.algorithm = \"" + algorithm +
                    "\" is unknown; allowed: " + allowed);
}

}  // namespace

Selector::Selector(std::string algorithm, int ranks, const Link& link)
    : algorithm_(std::move(algorithm)), ranks_(ranks), link_(link) {
  check_known(algorithm_);
}

}  // namespace lockstep
