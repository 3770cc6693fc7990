// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_price.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "parallelism/pipeline/executor.hpp"
#include "parallelism/pipeline/table.hpp"
#include "perfmodels/exchanges.hpp"
#include "perfmodels/message_time.hpp"
#include "perfmodels/software.hpp"
#include "perfmodels/stage_replay.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr double kGiB = 1 << 30;
constexpr double kGradientBytes = 4;

StageTimes& operator+=(StageTimes& a, const StageTimes& b) {
  a.forward += b.forward;
  a.backward_input += b.backward_input;
  a.backward_weight += b.backward_weight;
  return a;
}

StageTimes operator*(double count, const StageTimes& t) {
  return {count * t.forward, count * t.backward_input, count * t.backward_weight};
}

}  // namespace

// A pipeline cut to parts, and which of its stages computes most.
struct PlanPrices::Stages {
  std::vector<StageTimes> parts{};
  std::vector<int> blocks_of{};                          // by part
  std::vector<bool> deferred{};                          // by stage: weight gradients come later
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
    : job_(job), machine_(machine), options_(options), rates_(machine, ranks) {}

BlockCosts& PlanPrices::blocks_of(const Layout& l) {
  const Key key{l.degrees.tensor, l.micro, l.recompute, l.sequence_parallel};
  const auto known = blocks_.find(key);
  if (known != blocks_.end()) return known->second;
  return blocks_.emplace(key, costs_of_blocks(job_, l, machine_, options_)).first->second;
}

PlanPrices::Stages PlanPrices::stages_of(const Layout& l, BlockCosts& b) {
  const auto P = static_cast<std::size_t>(l.degrees.pipeline);
  const int parts = l.degrees.pipeline * l.chunks;
  std::vector<int>& cuts = b.cuts[parts];
  if (cuts.empty()) cuts = cut_layers(b.layers, parts, cut_of(job_));
  const StoredPasses& passes = stored_in(l);

  Stages stages;
  for (const int waiting : passes.waiting)
    stages.deferred.push_back(waiting > 0);
  stages.blocks.resize(P);
  stages.seconds.resize(P);
  stages.computing.resize(P);
  for (int part = 0; part < parts; ++part) {
    const auto at = static_cast<std::size_t>(part), s = at % P;
    const bool first = part == 0, last = part + 1 == parts;
    const int blocks = cuts[at + 1] - cuts[at] - (first ? 1 : 0) - (last ? 1 : 0);
    stages.blocks_of.push_back(blocks);
    const bool deferred = stages.deferred[s];
    StageTimes times = double(blocks) * times_of(b.block, deferred);
    if (first) times += times_of(b.embedding, deferred);
    if (last) times += times_of(b.head, deferred);
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

// Boundaries that lie alike on the nodes cost the same.
PlanPrices::Messages PlanPrices::messages_in(const Layout& l, const BlockCosts& b,
                                             const MessageKind& kind) const {
  const int P = l.degrees.pipeline, ranks = l.degrees.data * l.degrees.tensor;
  const int per_node = std::max(machine_.devices_per_node, 1);
  Messages messages;
  messages.beside.resize(static_cast<std::size_t>(P));
  if (P == 1) return messages;
  const bool apart = communicates_apart(machine_);
  const bool data_across = l.degrees.data > std::max(per_node / l.degrees.tensor, 1);
  std::map<int, std::pair<double, bool>> known;  // by place in the node; the last goes round
  for (int s = 0; s < P; ++s) {
    const auto [at, fresh] = known.try_emplace(s + 1 == P ? -1 : s * ranks % per_node);
    if (fresh) {
      const MessagePlace place = message_place(s, (s + 1) % P, l.degrees, per_node);
      at->second = {message_time(machine_, b.message_bytes, place, kind).seconds.value,
                    place.across};
    }
    const auto [seconds, across] = at->second;
    messages.seconds.push_back(seconds);
    if (!apart || across != data_across) continue;
    const bool sends = s + 1 < P || l.chunks > 1;
    messages.beside[static_cast<std::size_t>(s)].forward = sends ? seconds : 0;
    messages.beside[static_cast<std::size_t>((s + 1) % P)].backward = sends ? seconds : 0;
  }
  return messages;
}

// Of one stage: F and B in turn.
PlanPrices::Passed PlanPrices::without_stages(const Layout& l, const Stages& stages,
                                              DataLanes* lanes, int micro_batches) const {
  double now = 0, each = stages.seconds.front();
  for (int m = 0; m < micro_batches; ++m) {
    const double begin = now;
    now += lanes ? 0 : each;
    for (const ActionKind kind : {ActionKind::forward, ActionKind::backward_input})
      if (lanes) now = lanes->pass(0, {kind, m}, now, now).end;
    if (m + 1 < micro_batches) each = now - begin;
  }
  const double end = lanes ? lanes->finish() : now;
  return {.end = end + static_cast<double>(l.num_micro - micro_batches) * each};
}

PlanPrices::Passed PlanPrices::passes(const Layout& l, BlockCosts& b, const Stages& stages) {
  constexpr std::int64_t kFew = 3;  // the first, one as all others, the last
  const int P = l.degrees.pipeline;
  const auto simulated = static_cast<int>(std::min<std::int64_t>(l.num_micro, kFew * P));
  const auto more = static_cast<double>(l.num_micro - simulated);
  const MessageKind kind = messages_of(with_layout(job_, l));
  const Messages messages = messages_in(l, b, kind);
  std::optional<DataLanes> lanes;
  if (l.degrees.data > 1 && !(kind.awaited && P > 1)) {
    const DataLayout data{l, stages.blocks_of, stages.deferred, messages.beside, simulated};
    lanes.emplace(job_, machine_, data, b, rates_.of_data(l.degrees));
  }
  Passed passed;
  if (P == 1) {
    passed = without_stages(l, stages, lanes ? &*lanes : nullptr, simulated);
  } else {
    ScheduleTimes times{.parts = stages.parts, .messages = messages.seconds};
    PipelineSchedule schedule = make_schedule(l.schedule, {P, simulated, l.chunks});
    const bool apart = communicates_apart(machine_);
    const bool shared = !apart && l.degrees.tensor > 1;
    times.queue = shared ? MessageQueue::shared : MessageQueue::messages_only;
    times.until = l.sequence_parallel ? 0 : kUntilSum * b.block.forward;
    if (lanes) {
      times.ends = [&](int stage, const Action& pass, double free, double begin) {
        return lanes->pass(stage, pass, free, begin);
      };
    }
    if (!apart && !kind.awaited) schedule = with_executed_messages(schedule);
    const SimulatedSchedule done =
        kind.awaited ? simulate_rounds(schedule, times) : simulate_schedule(schedule, times);
    const double each =
        more > 0 ? std::max(seconds_per_micro_batch(schedule, done), stages.seconds[stages.slowest])
                 : 0;
    passed.end = std::max(done.makespan, lanes ? lanes->finish() : 0) + more * each;
  }
  if (!lanes) return passed;
  const StageLane& lane = lanes->of(stages.slowest);
  const double often = l.zero < 2 ? 1 : static_cast<double>(l.num_micro) / simulated;
  passed.sent = often * lane.sent();
  passed.stalled = often * lane.stalled();
  return passed;
}

double PlanPrices::behind_passes(const Layout& l, const BlockCosts& b, const Stages& stages) {
  if (l.degrees.data == 1) return 0;
  const DataPrices prices = rates_.of_data(l.degrees);
  const double elements = stages.most_elements(b);
  const bool all_at_once = l.degrees.pipeline > 1 && find_software(job_.job.software).others;
  if (all_at_once) return prices.all_reduce.at(elements * kGradientBytes);
  const double calls = std::ceil(elements * kGradientBytes / (l.bucket_mb * 1e6));
  const bool updated = l.zero == 1 || l.zero == 2;
  return updated ? prices.all_gather.at(elements * b.parameter_bytes, calls) : 0;
}

double PlanPrices::sums_besides(const Layout& l, const BlockCosts& b) {
  const MeshDegrees& d = l.degrees;
  const bool tied = d.pipeline > 1 && job_.model.tied;
  const bool far = d.data * d.tensor >= machine_.devices_per_node;
  double seconds = 0;
  if (tied) {
    seconds += rates_.line_of(Collective::all_reduce, 2, far ? 1 : machine_.devices_per_node)
                   .at(b.table * kGradientBytes / (l.zero > 0 ? d.data : 1));
  }
  return seconds + 2 * rates_.world_seconds();  // the loss; the squares of the gradients
}

const StoredPasses& PlanPrices::stored_in(const Layout& l) {
  const auto [known, fresh] =
      stored_.try_emplace(std::tuple{l.schedule, l.degrees.pipeline, l.num_micro, l.chunks});
  if (!fresh) return known->second;
  const PipelineShape shape{l.degrees.pipeline, static_cast<int>(l.num_micro), l.chunks};
  if (l.degrees.pipeline == 1) return known->second = {{1}, {0}, 1};
  return known->second = stored_passes(make_schedule(l.schedule, shape));
}

double PlanPrices::memory(const Layout& l, BlockCosts& b, const Stages& stages) {
  const double D = l.degrees.data;
  const std::size_t P = stages.blocks.size();
  const double per_element = b.parameter_bytes / (l.zero == 3 ? D : 1) +
                             b.gradient_bytes / (l.zero >= 2 ? D : 1) +
                             b.optimizer_bytes / (l.zero >= 1 ? D : 1);
  const bool deferred = defers(l);
  const StoredPasses& passes = stored_in(l);
  const auto beside = [&](const LayerCosts& c) { return deferred ? c.deferring : c.working; };
  const auto held = [&](std::size_t stage, const LayerCosts& c) {
    const double waiting = passes.waiting[stage], whole = passes.stored[stage] - waiting;
    return (whole * c.kept + waiting * c.waiting) / l.chunks;
  };
  double most = 0;
  for (std::size_t s = 0; s < P; ++s) {
    const bool first = s == 0, last = s + 1 == P;
    double kept = stages.blocks[s] * held(s, b.block), working = beside(b.block);
    if (first) kept += held(s, b.embedding);
    if (last) kept += deferred ? held(s, b.head) : passes.of_last_part * b.head.kept;
    if (first) working = std::max(working, beside(b.embedding));
    if (last) working = std::max(working, beside(b.head));
    double states = stages.elements(b, s) * per_element;
    if (P == 1 && job_.model.tied) states += b.table * b.gradient_bytes;  // the head's own sum
    if (l.zero >= 2) {  // what layers have whole while passes are at them
      const bool one_table = P == 1 && job_.model.tied;
      const auto blocks = static_cast<int>(stages.blocks[s]);
      const LaneBuffers& whole = buffers_of(b, {blocks, first, last, one_table});
      states += whole.gradient_elements * kGradientBytes;
      if (l.zero == 3) states += whole.value_elements * b.parameter_bytes;
    }
    most = std::max(most, states + kept + working);
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
  const Passed passed = passes(l, b, stages);
  const double behind = behind_passes(l, b, stages);
  const double update =
      b.update_seconds * stages.most_elements(b) / (l.zero > 0 ? l.degrees.data : 1);
  priced.seconds = passed.end + behind + sums_besides(l, b) + update;
  priced.compute = m * stages.computing[stages.slowest] + update;
  priced.hidden = std::max(passed.sent - passed.stalled, 0.0);
  priced.bubble = std::max(passed.end - passed.stalled - m * stages.seconds[stages.slowest], 0.0);
  priced.exposed = std::max(priced.seconds - priced.compute - priced.bubble, 0.0);
  return priced;
}

}  // namespace lockstep
