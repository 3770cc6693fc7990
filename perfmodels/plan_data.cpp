// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_data.hpp"

#include <algorithm>
#include <numeric>

#include "parallelism/zero/units.hpp"
#include "perfmodels/stage_replay.hpp"

namespace lockstep {

namespace {

constexpr double kGradientBytes = 4;
constexpr double kMb = 1e6;

double elements_in(const SharedBuffers& buffers) {
  return static_cast<double>(
      std::accumulate(buffers.counts.begin(), buffers.counts.end(), std::int64_t{0}));
}

// Where the units of these layers have their values and gradients. With `shared`, the first and
// the last layer use one.
LaneBuffers share_of(const std::vector<double>& parameters, bool shared) {
  UnitPlan plan;
  plan.layers.resize(parameters.size());
  const std::size_t last = parameters.size() - 1;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (shared && i == last) break;
    plan.units.push_back({.count = static_cast<std::int64_t>(parameters[i]), .layers = {i}});
  }
  if (shared) plan.units.front().layers.push_back(last);
  const SharedBuffers values = share_buffers(plan, Whose::used);
  const SharedBuffers gradients = share_buffers(plan, Whose::owned);
  LaneBuffers buffers{.values = values.of_unit,
                      .gradients = gradients.of_unit,
                      .value_elements = elements_in(values),
                      .gradient_elements = elements_in(gradients)};
  if (shared) {
    buffers.values.push_back(buffers.values.front());
    buffers.gradients.push_back(buffers.gradients.front());
  }
  return buffers;
}

LaneRules rules_of(const Machine& machine, const DataLayout& data, const BlockCosts& b,
                   const DataPrices& prices) {
  const Layout& l = data.layout;
  const bool apart = communicates_apart(machine), tensor = l.degrees.tensor > 1;
  const int per_node = std::max(machine.devices_per_node / l.degrees.tensor, 1);
  LaneRules rules{.zero = l.zero,
                  .last_micro_batch = data.micro_batches - 1,
                  .same_queue = tensor && !apart,
                  .bucket_bytes = l.bucket_mb * kMb,
                  .sum = l.zero == 0 ? prices.all_reduce : prices.reduce_scatter};
  const Slowdowns slower = slowdowns_of(machine);
  rules.layer_pace = slower.compute;
  rules.lane_pace = slower.communication;
  if (apart && tensor && l.degrees.data <= per_node) {
    // What two lanes send over the same links shares their rate.
    const double passes = b.block.forward + b.block.backward;
    const double sharing = 2 - std::min(b.block.computing / passes, 1.0);
    rules.layer_pace *= sharing;
    rules.lane_pace *= sharing;
  }
  return rules;
}

LaneCosts costs_of(const LayerCosts& layer, const Layout& l, const BlockCosts& b,
                   const DataPrices& prices, bool deferred) {
  LaneCosts c{.alone = times_of(layer, deferred),
              .parameters = layer.parameters,
              .gradient_bytes = layer.parameters * kGradientBytes};
  const bool again = l.recompute == "full";
  if (again && &layer == &b.block && !deferred) c.again = layer.forward;
  // Who needs at once what its tensor group gathers waits at the begin of a layer; else the sums of
  // attention and MLP halve what is computed first.
  const double until = l.sequence_parallel ? 0 : kUntilSum;
  c.forward_until = until * layer.forward;
  c.backward_until = until * (again ? layer.forward : layer.backward);
  c.gather = prices.all_gather.at(layer.parameters * b.parameter_bytes);
  c.sum = prices.reduce_scatter.at(c.gradient_bytes);
  c.clear = prices.clear * layer.parameters;
  c.add = prices.add * layer.parameters / l.degrees.data;
  return c;
}

void set_buffers(std::vector<LaneLayer>& layers, const LaneBuffers& buffers, bool one_table) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].unit = one_table && i + 1 == layers.size() ? 0 : static_cast<int>(i);
    layers[i].values_in = buffers.values[i];
    layers[i].gradients_in = buffers.gradients[i];
  }
}

}  // namespace

const LaneBuffers& buffers_of(BlockCosts& b, const StageLayers& layers) {
  LaneBuffers& buffers = b.buffers[{layers.blocks, layers.first, layers.last}];
  if (!buffers.values.empty()) return buffers;
  std::vector<double> parameters(static_cast<std::size_t>(layers.blocks), b.block.parameters);
  if (layers.first) parameters.insert(parameters.begin(), b.embedding.parameters);
  if (layers.last) parameters.push_back(b.head.parameters);
  return buffers = share_of(parameters, layers.one_table);
}

StageTimes times_of(const LayerCosts& c, bool deferred) {
  if (deferred) return {c.forward, c.input, c.weights};
  return {c.forward, c.backward, 0};
}

DataLanes::DataLanes(const JobConfig& job, const Machine& machine, const DataLayout& data,
                     BlockCosts& b, const DataPrices& prices) {
  for (const bool deferred : {false, true}) {
    Kind& costs = kinds_[deferred];
    costs.rules = rules_of(machine, data, b, prices);
    costs.rules.deferred = deferred;
    set_costs(costs, job, data.layout, b, prices);
  }
  const int P = data.layout.degrees.pipeline, v = data.layout.chunks;
  const bool one_table = P == 1 && job.model.tied;
  for (int stage = 0; stage < P; ++stage) {
    const auto s = static_cast<std::size_t>(stage);
    const Kind& costs = kinds_[data.deferred[s]];
    std::vector<LaneLayer> layers;
    std::vector<int> begins;
    for (int chunk = 0; chunk < v; ++chunk) {
      begins.push_back(static_cast<int>(layers.size()));
      append_layers(layers, chunk * P + stage, data, costs);
    }
    begins.push_back(static_cast<int>(layers.size()));
    if (data.layout.zero >= 2) {
      const int blocks = static_cast<int>(layers.size()) - (stage == 0) - (stage + 1 == P);
      const StageLayers kind{blocks, stage == 0, stage + 1 == P, one_table};
      set_buffers(layers, buffers_of(b, kind), one_table);
    }
    lanes_.emplace_back(std::move(layers), std::move(begins), costs.rules, data.messages[s]);
  }
}

void DataLanes::append_layers(std::vector<LaneLayer>& layers, int part, const DataLayout& data,
                              const Kind& kind) {
  const auto at = static_cast<std::size_t>(part);
  if (part == 0) layers.push_back({&kind.embedding});
  layers.insert(layers.end(), static_cast<std::size_t>(data.blocks_of[at]), {&kind.block});
  if (at + 1 == data.blocks_of.size()) layers.push_back({&kind.head});
}

void DataLanes::set_costs(Kind& kind, const JobConfig& job, const Layout& l, const BlockCosts& b,
                          const DataPrices& prices) {
  const bool deferred = kind.rules.deferred;
  kind.embedding = costs_of(b.embedding, l, b, prices, deferred);
  kind.block = costs_of(b.block, l, b, prices, deferred);
  kind.head = costs_of(b.head, l, b, prices, deferred);
  if (!job.model.tied) return;
  const double table_bytes = b.table * kGradientBytes;
  if (l.degrees.pipeline == 1) {
    kind.head.gradient_bytes = 0;  // of the table: complete with the embedding's
  } else if (l.zero == 0) {
    late_bytes_ = table_bytes;  // summed over the two stages before
    kind.embedding.gradient_bytes -= table_bytes;
    kind.head.gradient_bytes -= table_bytes;
  }
}

double DataLanes::finish() {
  double end = 0;
  for (std::size_t s = 0; s < lanes_.size(); ++s) {
    const bool has_table = s == 0 || s + 1 == lanes_.size();
    end = std::max(end, lanes_[s].finish(has_table ? late_bytes_ : 0));
  }
  return end;
}

}  // namespace lockstep
