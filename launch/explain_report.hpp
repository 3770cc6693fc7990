// SPDX-License-Identifier: Apache-2.0
// The pages of `lockstep explain`: candidates with their prices, the choice and why, and the
// constants behind it.
#pragma once

#include <string>
#include <vector>

#include "collectives/select.hpp"

namespace lockstep {

struct Refused {
  std::string label, why;
};

struct Explanation {
  Call call;
  GroupShape group;
  Links links;
  std::vector<Choice> candidates;  // cheapest first
  Choice chosen;
  std::vector<Refused> refused;
  // Of each candidate, where a machine's profile has its price: from what; and of the chosen one,
  // how formula and replay differ.
  std::vector<std::string> by{};
  std::string why{};
};

std::string explanation_table(const Explanation& explanation);
std::string explanation_json(const Explanation& explanation);

}  // namespace lockstep
