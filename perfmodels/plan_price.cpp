// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_price.hpp"

#include <algorithm>
#include <cmath>

#include "parallelism/pipeline/messages.hpp"
#include "parallelism/pipeline/table.hpp"
#include "perfmodels/cost_table.hpp"
#include "perfmodels/exchanges.hpp"
#include "perfmodels/message_time.hpp"
#include "perfmodels/operation_time.hpp"
#include "perfmodels/software.hpp"
#include "perfmodels/stage_replay.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr double kGiB = 1 << 30;
constexpr double kGradientBytes = 4;

// Micro-batches times chunks that a stage keeps, where weight gradients are not deferred.
double stored(const Layout& l, int stage) {
  const auto m = static_cast<double>(l.num_micro);
  const int P = l.degrees.pipeline, v = l.chunks;
  if (P == 1) return 1;
  if (l.schedule == "gpipe") return m;
  if (l.schedule == "interleaved")
    return std::min(m * v, (v - 1.0) * P + 2.0 * (P - 1 - stage) + 1);
  return std::min<double>(m, P - stage);
}

bool defers(const Layout& l) {
  return l.schedule == "zb-h1" && l.degrees.pipeline > 1;
}

// Bytes that a layer of this stage holds of all its micro-batches.
double held(const Layout& l, int stage, const LayerCosts& layer, bool head) {
  if (defers(l)) return (l.degrees.pipeline - 1 - stage) * layer.kept + (stage + 1) * layer.waiting;
  if (head && l.schedule != "gpipe") return layer.kept;
  return stored(l, stage) / l.chunks * layer.kept;
}

StageTimes& operator+=(StageTimes& a, const StageTimes& b) {
  a.forward += b.forward;
  a.backward_input += b.backward_input;
  a.backward_weight += b.backward_weight;
  return a;
}

// Where weight gradients are not deferred, a gradient is sent on when both halves are done.
StageTimes times_of(const LayerCosts& c, double count, bool deferred) {
  const double later = deferred ? c.weights : 0;
  return {count * c.forward, count * (c.backward - later), count * later};
}

}  // namespace

// A pipeline cut to parts, and which of its stages computes most.
struct PlanPrices::Stages {
  std::vector<StageTimes> parts{};
  std::vector<double> blocks{}, seconds{}, computing{};  // by stage; of one micro-batch
  std::size_t slowest = 0;

  double elements(const BlockCosts& b, std::size_t stage) const {
    double n = blocks[stage] * b.block.parameters;
    if (stage == 0) n += b.embedding.parameters;
    if (stage + 1 == blocks.size()) n += b.head.parameters;
    return blocks.size() == 1 ? n - b.table : n;  // one table for both
  }
  double most_elements(const BlockCosts& b) const {
    double most = 0;
    for (std::size_t s = 0; s < blocks.size(); ++s)
      most = std::max(most, elements(b, s));
    return most;
  }
};

PlanPrices::PlanPrices(const JobConfig& job, int ranks, const Machine& machine,
                       const CommunicatorOptions& options)
    : job_(job), machine_(machine), options_(options) {
  constexpr double kFewBytes = 64;
  if (ranks == 1) return;
  const int per_node = machine.devices_per_node, nodes = (ranks + per_node - 1) / per_node;
  const GroupShape world = on_machine(machine, assumed_shape(ranks, nodes));
  world_seconds_ = price_of(machine, Collective::all_reduce, kFewBytes, world, "").seconds.value;
}

BlockCosts& PlanPrices::blocks_of(const Layout& l) {
  const Key key{l.degrees.tensor, l.micro, l.recompute, l.sequence_parallel};
  const auto known = blocks_.find(key);
  if (known != blocks_.end()) return known->second;
  return blocks_.emplace(key, costs_of_blocks(job_, l, machine_, options_)).first->second;
}

PlanPrices::Stages PlanPrices::stages_of(const Layout& l, BlockCosts& b) const {
  const auto P = static_cast<std::size_t>(l.degrees.pipeline);
  const int parts = l.degrees.pipeline * l.chunks;
  std::vector<int>& cuts = b.cuts[parts];
  if (cuts.empty()) cuts = cut_layers(b.layers, parts, cut_of(job_));
  const bool deferred = defers(l);

  Stages stages;
  stages.blocks.resize(P);
  stages.seconds.resize(P);
  stages.computing.resize(P);
  for (int part = 0; part < parts; ++part) {
    const auto at = static_cast<std::size_t>(part), s = at % P;
    const bool first = part == 0, last = part + 1 == parts;
    const double blocks = cuts[at + 1] - cuts[at] - (first ? 1 : 0) - (last ? 1 : 0);
    StageTimes times = times_of(b.block, blocks, deferred);
    if (first) times += times_of(b.embedding, 1, deferred);
    if (last) times += times_of(b.head, 1, deferred);
    stages.parts.push_back(times);
    stages.seconds[s] += times.forward + times.backward_input + times.backward_weight;
    stages.blocks[s] += blocks;
    stages.computing[s] += blocks * b.block.computing + (first ? b.embedding.computing : 0) +
                           (last ? b.head.computing : 0);
  }
  const auto most = std::max_element(stages.seconds.begin(), stages.seconds.end());
  stages.slowest = static_cast<std::size_t>(most - stages.seconds.begin());
  return stages;
}

namespace {

// Seconds from one micro-batch to the next where the pipeline is full: between the backward passes
// of the first stage that are a P apart.
double seconds_per_micro_batch(const PipelineSchedule& schedule, const SimulatedSchedule& done) {
  const int P = schedule.shape.stages;
  double early = 0, late = 0;
  for (std::size_t i = 0; i < schedule.stages[0].size(); ++i) {
    const Action& a = schedule.stages[0][i];
    if (a.kind != ActionKind::backward_input || a.chunk != 0) continue;
    if (a.micro_batch == P - 1) early = done.stages[0][i].end;
    if (a.micro_batch == 2 * P - 1) late = done.stages[0][i].end;
  }
  return (late - early) / P;
}

}  // namespace

double PlanPrices::passes(const Layout& l, const BlockCosts& b, const Stages& stages) const {
  const int P = l.degrees.pipeline;
  const auto m = static_cast<double>(l.num_micro);
  if (P == 1) return m * stages.seconds.front();
  const auto simulated = static_cast<int>(std::min<std::int64_t>(l.num_micro, std::int64_t{3} * P));
  const MessageKind kind = messages_of(with_layout(job_, l));
  const MessagePlace place = message_place(0, 1, l.degrees, machine_.devices_per_node);
  ScheduleTimes times{.parts = stages.parts};
  times.message = message_time(machine_, b.message_bytes, place, kind).seconds.value;
  PipelineSchedule schedule = make_schedule(l.schedule, {P, simulated, l.chunks});
  const bool apart = communicates_apart(machine_);
  times.queue = apart ? MessageQueue::messages_only : MessageQueue::shared;
  if (!apart && !kind.awaited) schedule = with_messages(schedule);
  const SimulatedSchedule done =
      kind.awaited ? simulate_rounds(schedule, times) : simulate_schedule(schedule, times);
  if (simulated == l.num_micro) return done.makespan;
  const double each =
      std::max(seconds_per_micro_batch(schedule, done), stages.seconds[stages.slowest]);
  return done.makespan + (m - simulated) * each;
}

PlanPrices::Line PlanPrices::line_of(Collective what, int ranks, int per_node) {
  const int nodes = (ranks + per_node - 1) / per_node;
  const auto [line, fresh] = lines_.emplace(std::tuple{what, ranks, nodes}, Line{});
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

PlanPrices::DataSeconds PlanPrices::data(const Layout& l, const BlockCosts& b,
                                         const Stages& stages) {
  const int D = l.degrees.data;
  if (D == 1) return {};
  const int per_node = std::max(machine_.devices_per_node / l.degrees.tensor, 1);
  const Software& software = find_software(job_.job.software);
  const double elements = stages.most_elements(b);
  const double gradients = elements * kGradientBytes;
  const double values = elements * b.parameter_bytes;
  const double all = stages.seconds[stages.slowest];
  // A chunk is done with its gradients while others have still P micro-batches to go; where they
  // are summed after every one, or a tensor group needs the same queue or links, it is one.
  const bool same_queue = l.degrees.tensor > 1 && !communicates_apart(machine_);
  const bool same_links = l.degrees.tensor > 1 && D <= per_node;
  const bool alone = !same_queue && !same_links && l.zero < 2;
  const double passes_left = l.chunks > 1 && alone ? l.degrees.pipeline : 1;
  const double passes = b.block.forward + b.block.backward;
  double forward = all * b.block.forward / passes;
  double backward = passes_left * all * b.block.backward / passes;
  // In the same queue: who needs at once what its tensor group gathers, at the begin of a layer,
  // waits for all before it. Without such gathers the sums of attention and MLP halve a layer's
  // pass, and what goes with a layer is behind the first half of what is computed first.
  if (same_queue && (l.sequence_parallel || l.zero >= 2)) {
    const double until_sum = l.sequence_parallel ? 0 : 0.5;
    backward = until_sum * (l.recompute == "full" ? forward : backward);
    forward *= until_sum;
  }
  // What two lanes send over the same links takes its time beside kernels only.
  if (!same_queue && same_links) {
    const double computing = std::min(b.block.computing / passes, 1.0);
    forward *= computing;
    backward *= computing;
  }
  // What nothing hides: the last bucket; where layers are summed and gathered each by itself, the
  // table.
  const bool at_once = software.others && l.degrees.pipeline > 1;
  const double buckets = at_once ? 1 : std::ceil(gradients / (l.bucket_mb * 1e6));
  const double last = l.zero < 2 ? 1 / buckets : b.table / std::max(elements, 1.0);
  const double calls =
      l.zero < 2 ? buckets : *std::max_element(stages.blocks.begin(), stages.blocks.end());
  const auto beyond = [&](double seconds, double hides) {
    return std::max(seconds - hides, seconds * std::min(last, 1.0));
  };
  const auto m = static_cast<double>(l.num_micro);
  double exposed = 0, sent = 0;
  if (l.zero == 0) {
    sent = line_of(Collective::all_reduce, D, per_node).at(gradients, calls);
    exposed = beyond(sent, backward);
  } else {
    const double sum = line_of(Collective::reduce_scatter, D, per_node).at(gradients, calls);
    const double gather = line_of(Collective::all_gather, D, per_node).at(values, calls);
    sent = l.zero == 1 ? sum + gather : l.zero == 2 ? m * sum + gather : m * (sum + 2 * gather);
    exposed = l.zero == 1   ? beyond(sum, backward) + gather
              : l.zero == 2 ? m * beyond(sum, backward) + gather
                            : m * (beyond(gather, forward) + beyond(sum + gather, backward));
  }
  return {exposed, sent - std::min(exposed, sent)};
}

double PlanPrices::sums_besides(const Layout& l, const BlockCosts& b) {
  const MeshDegrees& d = l.degrees;
  const bool tied = d.pipeline > 1 && job_.model.tied;
  const bool far = d.data * d.tensor >= machine_.devices_per_node;
  double seconds = 0;
  if (tied) {
    seconds += line_of(Collective::all_reduce, 2, far ? 1 : machine_.devices_per_node)
                   .at(b.table * kGradientBytes / (l.zero > 0 ? d.data : 1));
  }
  return seconds + 2 * world_seconds_;  // the loss; the squares of the gradients
}

double PlanPrices::memory(const Layout& l, const BlockCosts& b, const Stages& stages) const {
  const double D = l.degrees.data;
  const std::size_t P = stages.blocks.size();
  const double per_element = b.parameter_bytes / (l.zero == 3 ? D : 1) +
                             b.gradient_bytes / (l.zero >= 2 ? D : 1) +
                             b.optimizer_bytes / (l.zero >= 1 ? D : 1);
  // Whole gradients of three layers, and with ZeRO 3 their values.
  const double layer = std::max(b.block.parameters, b.table);
  const double passing = l.zero == 3 ? 6 : l.zero == 2 ? 3 : 0;
  const auto beside = [&](const LayerCosts& c) { return defers(l) ? c.deferring : c.working; };
  double most = 0;
  for (std::size_t s = 0; s < P; ++s) {
    const bool first = s == 0, last = s + 1 == P;
    const auto stage = static_cast<int>(s);
    double kept = stages.blocks[s] * held(l, stage, b.block, false), working = beside(b.block);
    if (first) kept += held(l, stage, b.embedding, false);
    if (last) kept += held(l, stage, b.head, true);
    if (first) working = std::max(working, beside(b.embedding));
    if (last) working = std::max(working, beside(b.head));
    double states = stages.elements(b, s) * per_element;
    if (P == 1 && job_.model.tied) states += b.table * b.gradient_bytes;  // the head's own sum
    most = std::max(most, states + kept + working + passing * layer * b.parameter_bytes);
  }
  return most;
}

bool refuse_too_large(PricedLayout& priced, const Machine& machine) {
  priced.fits = machine.memory_bytes <= 0 || priced.memory_bytes <= machine.memory_bytes;
  if (priced.fits) return false;
  priced.reason = format("needs %.1f GiB of tensors, a device has %.1f GiB",
                         priced.memory_bytes / kGiB, machine.memory_bytes / kGiB);
  return true;
}

PricedLayout PlanPrices::of(const Layout& l) {
  BlockCosts& b = blocks_of(l);
  const Stages stages = stages_of(l, b);
  PricedLayout priced{.layout = l, .memory_bytes = memory(l, b, stages)};
  if (refuse_too_large(priced, machine_)) return priced;
  const auto m = static_cast<double>(l.num_micro);
  const double passing = passes(l, b, stages);
  const DataSeconds sums = data(l, b, stages);
  const double update =
      b.update_seconds * stages.most_elements(b) / (l.zero > 0 ? l.degrees.data : 1);
  priced.seconds = passing + sums.exposed + sums_besides(l, b) + update;
  priced.compute = m * stages.computing[stages.slowest] + update;
  priced.hidden = sums.hidden;
  priced.bubble = std::max(passing - m * stages.seconds[stages.slowest], 0.0);
  priced.exposed = std::max(priced.seconds - priced.compute - priced.bubble, 0.0);
  return priced;
}

}  // namespace lockstep
