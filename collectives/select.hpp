// SPDX-License-Identifier: Apache-2.0
// Which algorithm serves a call: the one that was asked for by name, else the cheapest by its own
// formula for this group and size. A name that only some collectives know leaves the others free.
#pragma once

#include <string>
#include <vector>

#include "collectives/algorithms/table.hpp"
#include "collectives/backend.hpp"

namespace lockstep {

class Selector {
 public:
  // `algorithm` is "auto" or a name of the table; ConfigError names collectives.algorithm
  // otherwise.
  Selector(std::string algorithm, const GroupShape& group, const Links& links = {});

  const GroupShape& group() const { return group_; }
  const Links& links() const { return links_; }
  // Cheapest first. Empty for messages, which no algorithm serves.
  std::vector<Choice> candidates(const Call& call) const;
  Choice choose(const Call& call) const;

 private:
  bool serves(const Algorithm& algorithm, const Call& call) const;
  Choice priced(const Algorithm& algorithm, const Call& call) const;

  std::string algorithm_;
  GroupShape group_;
  Links links_;
};

}  // namespace lockstep
