// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_data.hpp"

#include <algorithm>

#include "parallelism/zero/units.hpp"
#include "perfmodels/stage_replay.hpp"

namespace lockstep {

namespace {

constexpr double kGradientBytes = 4;
constexpr double kMb = 1e6;

// Where the units of so many layers have their values and gradients. With `shared`, the first and
// the last layer use one.
LaneBuffers buffers_for(const std::vector<double>& parameters, bool shared) {
  UnitPlan plan;
  plan.layers.resize(parameters.size());
  const std::size_t last = parameters.size() - 1;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (shared && i == last) break;
    plan.units.push_back({.count = static_cast<std::int64_t>(parameters[i]), .layers = {i}});
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

}  // namespace

DataLanes::DataLanes(const JobConfig& job, const Machine& machine, const Layout& l, BlockCosts& b,
                     const DataPrices& prices, const std::vector<int>& blocks_of,
                     int micro_batches) {
  rules_.last_micro_batch = micro_batches - 1;
  set_costs(job, machine, l, b, prices);
  const int P = l.degrees.pipeline;
  const auto parts = static_cast<int>(blocks_of.size());
  const bool one_table = P == 1 && job.model.tied;
  for (int stage = 0; stage < P; ++stage) {
    std::vector<LaneLayer> layers;
    std::vector<int> begins;
    for (int part = stage; part < parts; part += P) {
      begins.push_back(static_cast<int>(layers.size()));
      if (part == 0) layers.push_back({&embedding_});
      layers.insert(layers.end(), static_cast<std::size_t>(blocks_of[static_cast<std::size_t>(part)]),
                    {&block_});
      if (part + 1 == parts) layers.push_back({&head_});
    }
    begins.push_back(static_cast<int>(layers.size()));
    if (l.zero >= 2) set_buffers(layers, b, one_table);
    lanes_.emplace_back(std::move(layers), std::move(begins), rules_);
  }
}

void DataLanes::set_buffers(std::vector<LaneLayer>& layers, BlockCosts& b, bool one_table) const {
  const std::tuple kind{layers.size(), layers.front().costs == &embedding_,
                        layers.back().costs == &head_};
  LaneBuffers& buffers = b.buffers[kind];
  if (buffers.values.empty()) {
    std::vector<double> parameters;
    for (const LaneLayer& layer : layers)
      parameters.push_back(layer.costs->parameters);
    buffers = buffers_for(parameters, one_table);
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].unit = one_table && i + 1 == layers.size() ? 0 : static_cast<int>(i);
    layers[i].values_in = buffers.values[i];
    layers[i].gradients_in = buffers.gradients[i];
  }
}

void DataLanes::set_costs(const JobConfig& job, const Machine& machine, const Layout& l,
                          const BlockCosts& b, const DataPrices& prices) {
  const bool apart = communicates_apart(machine), tensor = l.degrees.tensor > 1;
  const int per_node = std::max(machine.devices_per_node / l.degrees.tensor, 1);
  rules_.zero = l.zero;
  rules_.deferred = defers(l);
  rules_.same_queue = tensor && !apart;
  rules_.bucket_bytes = l.bucket_mb * kMb;
  rules_.sum = l.zero == 0 ? prices.all_reduce : prices.reduce_scatter;
  // What two lanes send over the same links shares their rate.
  const double passes = b.block.forward + b.block.backward;
  if (apart && tensor && l.degrees.data <= per_node)
    rules_.pace = 2 - std::min(b.block.computing / passes, 1.0);

  // Who needs at once what its tensor group gathers waits at the begin of a layer; else the sums of
  // attention and MLP halve what is computed first.
  const double until = l.sequence_parallel ? 0 : 0.5;
  embedding_ = costs_of(b.embedding, l, b, prices, until);
  block_ = costs_of(b.block, l, b, prices, until);
  head_ = costs_of(b.head, l, b, prices, until);
  if (!job.model.tied) return;
  const double table_bytes = b.table * kGradientBytes;
  if (l.degrees.pipeline == 1) {
    head_.gradient_bytes = 0;  // of the table: complete with the embedding's
  } else if (l.zero == 0) {
    late_bytes_ = table_bytes;  // summed over the two stages before
    embedding_.gradient_bytes -= table_bytes;
    head_.gradient_bytes -= table_bytes;
  }
}

LaneCosts DataLanes::costs_of(const LayerCosts& layer, const Layout& l, const BlockCosts& b,
                              const DataPrices& prices, double until) const {
  const double later = rules_.deferred ? layer.weights : 0;
  LaneCosts c{.alone = {layer.forward, layer.backward - later, later},
              .parameters = layer.parameters,
              .gradient_bytes = layer.parameters * kGradientBytes};
  if (l.recompute == "full" && &layer == &b.block && !rules_.deferred) c.again = layer.forward;
  c.forward_until = until * layer.forward;
  c.backward_until = until * (l.recompute == "full" ? layer.forward : layer.backward);
  c.gather = prices.all_gather.at(layer.parameters * b.parameter_bytes);
  c.sum = prices.reduce_scatter.at(c.gradient_bytes);
  c.clear = prices.clear * layer.parameters;
  c.add = prices.add * layer.parameters / l.degrees.data;
  return c;
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
