// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/operation_time.hpp"

#include <string_view>

#include "collectives/call.hpp"
#include "perfmodels/collective_price.hpp"
#include "perfmodels/cost_table.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

// Several messages at once, as pipelines send them, go by the bytes of both directions.
Collective collective_of(const Operation& operation) {
  const std::string name = operation.name;
  return name == "transfer" ? Collective::send : collective_named(operation.name);
}

double full_bytes(const Operation& operation) {
  return static_cast<double>(operation.shape[0]) * static_cast<double>(size_of(operation.dtype));
}

}  // namespace

namespace {

GroupShape lying(const Operation& operation) {
  return assumed_shape(operation.ranks, operation.group ? operation.group->nodes : 1);
}

GroupShape completed(GroupShape shape, const Machine& machine, const Operation& operation) {
  const OperationGroup* group = operation.group;
  if (group) shape.even = group->even;
  shape.crowded =
      (shape.ranks + shape.nodes - 1) / shape.nodes > machine.cores_per_node && machine.calibrated;
  shape.memory = std::string(operation.memory) == "shared" ? MemoryKind::shared : MemoryKind::plain;
  return shape;
}

Price price_in(const GroupShape& shape, const Machine& machine, const Operation& operation) {
  return price_of(machine, collective_of(operation), full_bytes(operation), shape,
                  operation.detail);
}

// As the machine's ranks lie. An algorithm that could not serve them there did serve these ranks
// elsewhere: then with what such an algorithm needs, out of range.
Price price_on(const Machine& machine, const Operation& operation) {
  const Price there = price_in(shape_of(machine, operation), machine, operation);
  if (!there.by.empty()) return there;
  Price elsewhere = price_in(completed(lying(operation), machine, operation), machine, operation);
  elsewhere.in_range = false;
  return elsewhere;
}

}  // namespace

GroupShape shape_of(const Machine& machine, const Operation& operation) {
  return completed(on_machine(machine, lying(operation)), machine, operation);
}

bool is_of_attention(const Operation& operation) {
  return std::string_view(operation.name).substr(0, 9) == "attention";
}

OperationTimes::Key OperationTimes::key_of(const Operation& o) {
  const bool collective = o.kind == OperationKind::collective;
  return {o.name,
          o.shape,
          o.bytes_read + o.bytes_written,
          o.dtype,
          o.detail,
          collective ? o.memory : "",
          o.ranks,
          o.group ? o.group->nodes : 1};
}

const OperationTime& OperationTimes::of(const Operation& operation) {
  const Key key = key_of(operation);
  const auto found = known_.find(key);
  return found != known_.end() ? found->second
                               : known_.emplace(key, price(operation)).first->second;
}

OperationTime OperationTimes::price(const Operation& operation) const {
  if (operation.kind == OperationKind::phase) return {{}, 0, "", true};
  if (operation.kind == OperationKind::collective) return price_collective(operation);
  const KernelTime t = kernels_.of(operation);
  return {t.seconds, t.error, t.by, t.in_range};
}

OperationTime OperationTimes::price_collective(const Operation& operation) const {
  const Price p = price_on(machine_, operation);
  if (p.by.empty()) {
    throw ConfigError("machine profile '" + machine_.name + "' cannot price " + operation.name +
                      " by " + operation.detail + " among " + std::to_string(operation.ranks) +
                      " ranks; `mpirun ... lockstep calibrate` on such ranks measures it");
  }
  return {p.seconds, 0, p.by, p.in_range};
}

double modelled_seconds(const Machine& machine, const Operation& operation) {
  Machine without = machine;
  without.collectives.clear();
  return price_on(without, operation).seconds.value;
}

}  // namespace lockstep
