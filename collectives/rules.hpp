// SPDX-License-Identifier: Apache-2.0
// collectives.rules of a job: who serves a collective in a range of sizes, whatever the prices say.
//
//   "all_reduce 0:64K recursive_doubling"   COLLECTIVE SIZES ALGORITHM
//   "all_gather 1M: ring"                   bytes of the full vector, from LOW to below HIGH
//   "broadcast : mpi"                       any size; "mpi" is the library's own (backend auto)
//
// The first rule that fits a call holds, and overrides collectives.algorithm. In a group that its
// algorithm cannot serve a rule does not hold: rules are for all groups of a job.
#pragma once

#include <string>
#include <vector>

#include "collectives/algorithms/table.hpp"

namespace lockstep {

struct Rule {
  std::string text;
  Collective what;
  std::size_t low, high;       // [low, high)
  const Algorithm* algorithm;  // null: the library

  bool fits(const Call& call) const {
    return what == call.what && low <= call.bytes() && call.bytes() < high;
  }
};

enum class LibraryRules : std::uint8_t { allowed, refused };

// ConfigError names collectives.rules, the rule, and what is allowed.
std::vector<Rule> parse_rules(const std::vector<std::string>& texts, LibraryRules library);

}  // namespace lockstep
