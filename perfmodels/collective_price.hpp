// SPDX-License-Identifier: Apache-2.0
// What a collective takes on a machine, from the best that its profile has: a measured curve of the
// same algorithm in such a group, else the schedule of the algorithm replayed message by message,
// else its formula.
//
// On GPUs NCCL serves (models/nccl.hpp), unless the label says otherwise. Curves belong to one
// number of ranks and nodes; between nodes, past their last point they grow as the replay does.
// Replays are of up to 64 ranks and 4 MiB: beyond, the replay of 4 MiB grows as the formula does.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "collectives/links.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// The constants of the formulas, all pairs of neighbours at once; the source of each group is
// "profile", or "default" where the profile does not have it.
Links links_of(const Machine& machine);

struct Price {
  Figure seconds{};
  // "curve", "replay", "replay of fewer" ranks, "formula", "NCCL's model"; empty: nobody can
  std::string by{};
  bool in_range = false;  // false: beyond what was measured, or with default constants
};

// `bytes` of the full vector. `label` as recordings have it: "native/ring", "mpi". A library whose
// price is not in the profile is taken to be as fast as the best of our algorithms, out of range.
// Messages (send, receive) take a link inside where group.nodes is 1, else across.
Price price_of(const Machine& machine, Collective what, double bytes, const GroupShape& group,
               const std::string& label);

// The same, with replays kept: a step has a few dozen kinds of calls, and most come often.
class CollectivePrices {
 public:
  explicit CollectivePrices(const Machine& machine) : machine_(machine) {}
  const Price& of(Collective what, double bytes, const GroupShape& group, const std::string& label);

 private:
  using Kind = std::tuple<Collective, double, std::string, int, int, MemoryKind, bool>;
  const Machine& machine_;
  std::map<Kind, Price> known_;
};

}  // namespace lockstep
