// SPDX-License-Identifier: Apache-2.0
// Which algorithm serves a call: the one that was asked for by name, else the cheapest by its own
// formula for this group and size. A name that only some collectives know leaves the others free.
#pragma once

#include <string>
#include <utility>

#include "collectives/algorithms/table.hpp"

namespace lockstep {

class Selector {
 public:
  // `algorithm` is "auto" or a name of any table; ConfigError names collectives.algorithm
  // otherwise.
  Selector(std::string algorithm, int ranks, const Link& link = kDefaultLink);

  template <class Run, std::size_t N>
  const Algorithm<Run>& choose(const Algorithm<Run> (&table)[N], double bytes) const {
    const Algorithm<Run>* best = table;
    for (const Algorithm<Run>& candidate : table) {
      if (candidate.name() == algorithm_) return candidate;
      if (candidate.seconds(ranks_, bytes, link_) < best->seconds(ranks_, bytes, link_)) {
        best = &candidate;
      }
    }
    return *best;
  }

 private:
  std::string algorithm_;
  int ranks_;
  Link link_;
};

}  // namespace lockstep
