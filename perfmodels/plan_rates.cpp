// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_rates.hpp"

#include <algorithm>

#include "perfmodels/collective_price.hpp"
#include "perfmodels/cost_table.hpp"
#include "perfmodels/operation_time.hpp"

namespace lockstep {

PlanRates::PlanRates(const Machine& machine, int ranks) : machine_(machine) {
  if (ranks == 1) return;
  constexpr double kFewBytes = 64;
  const int per_node = machine.devices_per_node, nodes = (ranks + per_node - 1) / per_node;
  const GroupShape world = on_machine(machine, assumed_shape(ranks, nodes));
  world_seconds_ = price_of(machine, Collective::all_reduce, kFewBytes, world, "").seconds.value;

  // What comes with gradients that live while backward is at their layer
  // (zero/transient_gradients.cpp).
  constexpr std::int64_t kMany = 1 << 26;
  constexpr double kBytes = 4.0 * kMany;
  OperationTimes times(machine);
  const auto per_element = [&](const Operation& o) { return times.of(o).seconds.value / kMany; };
  clear_seconds_ = per_element({.name = "fill", .shape = {kMany}, .bytes_written = kBytes});
  add_seconds_ = per_element({.name = "add",
                              .shape = {kMany},
                              .flops = kMany,
                              .bytes_read = 2 * kBytes,
                              .bytes_written = kBytes});
}

CostLine PlanRates::line_of(Collective what, int ranks, int per_node) {
  const int nodes = (ranks + per_node - 1) / per_node;
  const auto [line, fresh] = lines_.emplace(std::tuple{what, ranks, nodes}, CostLine{});
  if (fresh) {
    constexpr double kLess = 4 << 20, kMore = 256 << 20;
    Operation group{.name = name_of(what), .kind = OperationKind::collective, .ranks = ranks};
    const OperationGroup lying{"data", ranks, nodes};
    group.group = &lying;
    const GroupShape shape = shape_of(machine_, group);
    const double less = price_of(machine_, what, kLess, shape, "").seconds.value;
    const double more = price_of(machine_, what, kMore, shape, "").seconds.value;
    line->second.beta = (more - less) / (kMore - kLess);
    line->second.alpha = std::max(less - line->second.beta * kLess, 0.0);
  }
  return line->second;
}

DataPrices PlanRates::of_data(const MeshDegrees& d) {
  const int per_node = std::max(machine_.devices_per_node / d.tensor, 1);
  return {.all_reduce = line_of(Collective::all_reduce, d.data, per_node),
          .reduce_scatter = line_of(Collective::reduce_scatter, d.data, per_node),
          .all_gather = line_of(Collective::all_gather, d.data, per_node),
          .clear = clear_seconds_,
          .add = add_seconds_};
}

}  // namespace lockstep
