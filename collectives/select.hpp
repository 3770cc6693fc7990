// SPDX-License-Identifier: Apache-2.0
// Which algorithm serves a call: the one that a rule of the job names for it, else the one that was
// asked for by name, else the cheapest by its own formula for this group and size. A name that only
// some collectives know leaves the others free, and so does one that cannot serve the group or the
// size.
//
// A choice costs one look into a small table: the formulas are worked out once per kind of call.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "collectives/algorithms/table.hpp"
#include "collectives/backend.hpp"
#include "collectives/cost_table.hpp"
#include "collectives/options.hpp"
#include "collectives/rules.hpp"

namespace lockstep {

// Choices by what they depend on. A training step has a few dozen kinds of calls; two that share a
// slot displace each other.
class ChoiceCache {
 public:
  template <class Make>
  const Choice& get(const Call& call, Make make) {
    const std::size_t bytes = call.bytes();
    const auto kind = static_cast<std::size_t>(call.what) << 8 |
                      static_cast<std::size_t>(call.memory) << 4 |
                      static_cast<std::size_t>(call.dtype);
    Slot& slot = slots_[(bytes * 0x9e3779b97f4a7c15 + kind * 0xff51afd7ed558ccd) >> 58];
    if (slot.bytes != bytes || slot.kind != kind) slot = {bytes, kind, make()};
    return slot.choice;
  }

 private:
  struct Slot {
    std::size_t bytes = 0, kind = static_cast<std::size_t>(-1);
    Choice choice;
  };
  std::array<Slot, 64> slots_;
};

// ConfigError on an algorithm or a rule that names what does not exist.
void check_names(const CommunicatorOptions& options);

class Selector {
 public:
  // `options.algorithm` is "auto" or a name of the table; ConfigError names collectives.algorithm,
  // or the rule, otherwise.
  Selector(const CommunicatorOptions& options, const GroupShape& group, const Links& links = {});

  const GroupShape& group() const { return group_; }
  const Links& links() const { return links_; }
  // For the group of the whole job: ConfigError if nothing that has the name of
  // collectives.algorithm can serve it. Smaller groups take the cheapest instead.
  void expect_named_serves() const;
  // Warns of rules that cannot hold in it.
  void warn_of_rules() const;

  // Cheapest first. Empty for messages, which no algorithm serves.
  std::vector<Choice> candidates(const Call& call) const;
  // The library, where a table knows its price.
  std::optional<Choice> library(const Call& call) const;
  // What rule or name say, if they say something. No algorithm: the library, by a rule.
  std::optional<Choice> asked_for(const Call& call) const;
  Choice choose(const Call& call) const;

 private:
  GroupShape group_of(const Call& call) const;
  bool serves(const Algorithm& algorithm, const Call& call) const;
  Choice priced(const Algorithm& algorithm, const Call& call) const;
  Choice chosen(const Call& call) const;

  std::string algorithm_;
  std::vector<Rule> rules_;
  GroupShape group_;
  Links links_;
  std::shared_ptr<const CostTable> costs_;
  mutable ChoiceCache cache_;
};

// Cheapest first; of two that cost the same the first stays first.
void sort_by_price(std::vector<Choice>& choices);

}  // namespace lockstep
