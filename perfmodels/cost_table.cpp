// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/cost_table.hpp"

#include <algorithm>
#include <cmath>

#include "collectives/algorithms/table.hpp"
#include "parallelism/mesh/degrees.hpp"
#include "perfmodels/collective_price.hpp"
#include "perfmodels/machine/find_machine.hpp"

namespace lockstep {

namespace {

constexpr double kReplayedBytes[] = {64, 1 << 10, 16 << 10, 256 << 10, 4 << 20, 64 << 20, 1 << 30};

CostRow row_of(const CollectiveCurve& curve) {
  CostRow row{.what = collective_named(curve.operation.c_str()),
              .label = curve.label,
              .ranks = curve.ranks,
              .nodes = curve.nodes,
              .memory = curve.memory == "shared" ? MemoryKind::shared : MemoryKind::plain};
  for (const Point& point : curve.seconds.points())
    row.points.push_back({point.x, point.y.value});
  return row;
}

void add_replayed(CostTable& table, const Machine& machine, const GroupShape& group) {
  const bool measured = group.nodes == 1 && machine.calibrated;
  if (measured || group.ranks == 1) return;
  for (const Algorithm* algorithm : algorithms()) {
    if (table.seconds(algorithm->what, algorithm->label, group, 1)) continue;
    CostRow row{.what = algorithm->what,
                .label = algorithm->label,
                .ranks = group.ranks,
                .nodes = group.nodes,
                .memory = group.memory};
    for (const double bytes : kReplayedBytes) {
      const Price price = price_of(machine, algorithm->what, bytes, group, algorithm->label);
      if (price.by.starts_with("replay") && price.seconds.value > 0) {
        row.points.push_back({bytes, price.seconds.value});
      }
    }
    if (!row.points.empty()) table.rows.push_back(std::move(row));
  }
}

// Ranks that were calibrated on CPUs are processes. Where a datasheet says nothing of shared
// memory, there is none: ranks are devices.
bool share_memory(const Machine& machine) {
  return (machine.calibrated && machine.device == "cpu") || machine.shared.sync.known();
}

void lay_out(CostTable& table, const Machine& machine) {
  table.ranks_per_node = std::max(machine.devices_per_node, 1);
  table.shared_memory = share_memory(machine);
  table.crowded = table.shared_memory && machine.devices_per_node > machine.cores_per_node;
}

// All ranks, one of each node, and the groups of the job's axes; tensor ranks are neighbours, data
// ranks lie as many apart as these are (mesh.hpp).
std::vector<GroupShape> groups_of(const JobConfig& job, const Machine& machine, int ranks) {
  const int q = std::max(machine.devices_per_node, 1);
  const auto lying = [&](int size, int apart) {
    return on_machine(machine, assumed_shape(size, (size - 1) * apart / q + 1));
  };
  const MeshDegrees d =
      resolve({job.parallel.data, job.parallel.tensor, job.parallel.pipeline}, ranks);
  const GroupShape world = lying(ranks, 1);
  return {world, world.across(), lying(d.tensor, 1), lying(d.data, d.tensor)};
}

}  // namespace

std::shared_ptr<const CostTable> cost_table_of(const Machine& machine,
                                               std::span<const GroupShape> groups) {
  auto table = std::make_shared<CostTable>();
  table->links = links_of(machine);
  lay_out(*table, machine);
  for (const CollectiveCurve& curve : machine.collectives) {
    if (!curve.seconds.empty()) table->rows.push_back(row_of(curve));
  }
  for (GroupShape group : groups) {
    for (const MemoryKind memory : {MemoryKind::plain, MemoryKind::shared}) {
      group.memory = memory;
      if (memory == MemoryKind::plain || table->shared_memory) add_replayed(*table, machine, group);
    }
  }
  return table;
}

GroupShape on_machine(const Machine& machine, const GroupShape& group) {
  CostTable layout;
  lay_out(layout, machine);
  return layout.as_there(group);
}

CommunicatorOptions communicator_options(const JobConfig& job, const Machine& machine, int ranks) {
  CommunicatorOptions options = communicator_options(job);
  options.costs = cost_table_of(machine, groups_of(job, machine, ranks));
  return options;
}

CommunicatorOptions communicator_options(const JobConfig& job, int ranks) {
  if (job.collectives.machine.empty()) return communicator_options(job);
  return communicator_options(job, find_machine(job.collectives.machine), ranks);
}

}  // namespace lockstep
