// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_data.hpp"

#include <algorithm>

#include "parallelism/zero/units.hpp"
#include "perfmodels/stage_replay.hpp"

namespace lockstep {

namespace {

constexpr double kGradientBytes = 4;
constexpr double kMb = 1e6;

// Where the units of these layers have their values and gradients. With `shared`, the first and
// the last layer use one.
LaneBuffers buffers_for(const std::vector<LaneLayer>& layers, bool shared) {
  UnitPlan plan;
  plan.layers.resize(layers.size());
  const std::size_t last = layers.size() - 1;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (shared && i == last) break;
    const auto count = static_cast<std::int64_t>(layers[i].costs->parameters);
    plan.units.push_back({.count = count, .layers = {i}});
  }
  if (shared) plan.units.front().layers.push_back(last);
  LaneBuffers buffers{.values = share_buffers(plan, Whose::used).of_unit,
                      .gradients = share_buffers(plan, Whose::owned).of_unit};
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
  // What two lanes send over the same links shares their rate.
  const double passes = b.block.forward + b.block.backward;
  if (apart && tensor && l.degrees.data <= per_node)
    rules.pace = 2 - std::min(b.block.computing / passes, 1.0);
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
  const double until = l.sequence_parallel ? 0 : 0.5;
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

StageTimes times_of(const LayerCosts& c, bool deferred) {
  if (deferred) return {c.forward, c.input, c.weights};
  return {c.forward, c.backward, 0};
}

DataLanes::DataLanes(const JobConfig& job, const Machine& machine, const DataLayout& data,
                     BlockCosts& b, const DataPrices& prices) {
  for (const bool deferred : {false, true}) {
    Kind& kind = kinds_[deferred];
    kind.rules = rules_of(machine, data, b, prices);
    kind.rules.deferred = deferred;
    set_costs(kind, job, data.layout, b, prices);
  }
  const int P = data.layout.degrees.pipeline, v = data.layout.chunks;
  const bool one_table = P == 1 && job.model.tied;
  for (int stage = 0; stage < P; ++stage) {
    const auto s = static_cast<std::size_t>(stage);
    const Kind& kind = kinds_[data.deferred[s]];
    std::vector<LaneLayer> layers;
    std::vector<int> begins;
    for (int chunk = 0; chunk < v; ++chunk) {
      begins.push_back(static_cast<int>(layers.size()));
      append_layers(layers, chunk * P + stage, data, kind);
    }
    begins.push_back(static_cast<int>(layers.size()));
    if (data.layout.zero >= 2) {
      LaneBuffers& buffers = b.buffers[{layers.size(), stage == 0, stage + 1 == P}];
      if (buffers.values.empty()) buffers = buffers_for(layers, one_table);
      set_buffers(layers, buffers, one_table);
    }
    lanes_.emplace_back(std::move(layers), std::move(begins), kind.rules, data.messages[s]);
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
