// SPDX-License-Identifier: Apache-2.0
// What plan needs to know of a machine's groups, each asked for once: collectives as lines through
// two sizes, the sum of a few numbers over all ranks, kernels on gradients by the element.
#pragma once

#include <map>
#include <tuple>

#include "collectives/call.hpp"
#include "perfmodels/layout.hpp"
#include "perfmodels/machine/machine.hpp"
#include "perfmodels/plan_data.hpp"

namespace lockstep {

class PlanRates {
 public:
  // Of a job on so many ranks. The machine stays.
  PlanRates(const Machine& machine, int ranks);

  // Seconds of a collective among so many ranks, so many of them on each node.
  CostLine line_of(Collective what, int ranks, int per_node);
  // Of the data ranks of a layout.
  DataPrices of_data(const MeshDegrees& degrees);
  // Of a sum of a few numbers over all ranks.
  double world_seconds() const { return world_seconds_; }

 private:
  const Machine& machine_;
  std::map<std::tuple<Collective, int, int>, CostLine> lines_;
  double world_seconds_ = 0;
  double clear_seconds_ = 0, add_seconds_ = 0;  // per element
};

}  // namespace lockstep
