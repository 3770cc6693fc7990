// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_price.hpp"

#include <algorithm>
#include <string_view>

#include "models/registry.hpp"
#include "parallelism/hybrid/survey.hpp"
#include "parallelism/pipeline/messages.hpp"
#include "parallelism/pipeline/simulate.hpp"
#include "parallelism/pipeline/table.hpp"
#include "perfmodels/message_time.hpp"
#include "perfmodels/operation_time.hpp"
#include "perfmodels/step_time.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr double kGiB = 1 << 30;
constexpr double kGradientBytes = 4;

// What two recordings of n and of n + 1 blocks have in common, or what tells them apart.
struct Costs {
  double forward = 0, backward = 0,
         weights = 0;      // seconds of passes; weights contained in backward
  double parameters = 0;   // elements of this rank
  double activations = 0;  // bytes
  double computing = 0;    // seconds of kernels in both passes

  Costs minus(const Costs& o) const {
    return {forward - o.forward,       backward - o.backward,       weights - o.weights,
            parameters - o.parameters, activations - o.activations, computing - o.computing};
  }
};

double bytes_of(const MemoryStats& memory, MemoryUse use) {
  return static_cast<double>(memory.at_peak[static_cast<std::size_t>(use)]);
}

// Micro-batches times chunks that a stage keeps.
double stored(const Layout& l, int stage) {
  const auto m = static_cast<double>(l.num_micro);
  const int P = l.degrees.pipeline, v = l.chunks;
  if (P == 1) return 1;
  if (l.schedule == "gpipe") return m;
  if (l.schedule == "zb-h1") return std::min<double>(m, P);
  if (l.schedule == "interleaved")
    return std::min(m * v, (v - 1.0) * P + 2.0 * (P - 1 - stage) + 1);
  return std::min<double>(m, P - stage);
}

}  // namespace

struct PlanPrices::Blocks {
  Costs block{}, ends{};
  double update_seconds = 0;                                            // per element
  double parameter_bytes = 0, gradient_bytes = 0, optimizer_bytes = 0;  // of an element
  double head_parameters = 0;                                           // of the table
  double message_bytes = 0;
  std::vector<LayerSurvey> layers{};       // of the whole model
  std::map<int, std::vector<int>> cuts{};  // by number of parts
};

PlanPrices::PlanPrices(const JobConfig& job, const Machine& machine,
                       const CommunicatorOptions& options)
    : job_(job), machine_(machine), options_(options) {}
PlanPrices::~PlanPrices() = default;

namespace {

Costs costs_of(const StepRecord& record, const Machine& machine, double& update) {
  const StepPrediction p = predict_step(record, machine);
  Costs c{.parameters = static_cast<double>(record.parameters),
          .activations =
              bytes_of(p.memory, MemoryUse::activations) + bytes_of(p.memory, MemoryUse::buffers)};
  const auto& records = p.timeline->records();
  std::size_t pass = 0;  // the first of two micro-batches has nothing to sum behind it
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    if (r.operation.kind != OperationKind::phase) continue;
    const std::string_view name = r.operation.name;
    if (name == "update") update = r.end - r.begin;
    if ((name != "forward" && name != "backward") || r.operation.shape[1] != 0) continue;
    (name == "forward" ? c.forward : c.backward) += r.end - r.begin;
    const std::size_t first = i - static_cast<std::size_t>(r.operation.shape[0]);
    for (std::size_t k = first; k < i; ++k) {
      const Record& kernel = records[k];
      if (kernel.stream != StreamKind::compute || kernel.operation.kind == OperationKind::phase)
        continue;
      c.computing += kernel.end - kernel.begin;
      if (std::string_view(kernel.operation.name).find("backward_weight") != std::string_view::npos)
        c.weights += kernel.end - kernel.begin;
    }
    ++pass;
  }
  expect(pass == 2, "a step of two micro-batches has a forward and a backward pass of the first");
  return c;
}

}  // namespace

PlanPrices::Blocks& PlanPrices::blocks_of(const Layout& l) {
  const Key key{l.degrees.tensor, l.micro, l.recompute, l.sequence_parallel};
  std::unique_ptr<Blocks>& known = blocks_[key];
  if (known) return *known;
  JobConfig job = job_;
  job.parallel = {.data = 1,
                  .tensor = l.degrees.tensor,
                  .sequence_parallel = l.sequence_parallel,
                  .recompute = l.recompute};
  job.batch = {.global = 2 * l.micro, .micro = l.micro};
  Costs costs[2];
  double update = 0;
  std::unique_ptr<StepRecord> record;
  for (int i = 0; i < 2; ++i) {
    job.model.layers = i + 1;
    record = record_step(job, l.degrees.tensor, machine_, options_);
    costs[i] = costs_of(*record, machine_, update);
    ++recordings_;
  }
  known = std::make_unique<Blocks>();
  Blocks& b = *known;
  b.block = costs[1].minus(costs[0]);
  b.ends = costs[0].minus(b.block);
  job.model.layers = job_.model.layers;
  b.layers = survey(plan_model(job.model), job, l.degrees.tensor, l.micro);
  const double elements = costs[1].parameters;
  b.update_seconds = update / elements;
  b.parameter_bytes = bytes_of(record->memory, MemoryUse::parameters) / elements;
  b.gradient_bytes = bytes_of(record->memory, MemoryUse::gradients) / elements;
  b.optimizer_bytes = bytes_of(record->memory, MemoryUse::optimizer) / elements;
  b.head_parameters = static_cast<double>(job.model.vocabulary) *
                      static_cast<double>(job.model.hidden) / l.degrees.tensor;
  const double rows = static_cast<double>(l.micro * job.model.sequence) /
                      (l.sequence_parallel ? l.degrees.tensor : 1);
  b.message_bytes = rows * static_cast<double>(job.model.hidden) * b.parameter_bytes;
  return b;
}

double PlanPrices::among_data(Collective what, const Layout& l, double bytes) {
  const int D = l.degrees.data;
  if (D == 1) return 0;
  const int per_node = std::max(machine_.devices_per_node / l.degrees.tensor, 1);
  const int nodes = (D + per_node - 1) / per_node;
  const auto [line, fresh] = lines_.emplace(std::tuple{what, D, nodes}, Line{});
  if (fresh) {
    constexpr double kLess = 4 << 20, kMore = 256 << 20;
    Operation group{.name = name_of(what), .kind = OperationKind::collective, .ranks = D};
    const OperationGroup lying{"data", D, nodes};
    group.group = &lying;
    const GroupShape shape = shape_of(machine_, group);
    const double less = price_of(machine_, what, kLess, shape, "").seconds.value;
    const double more = price_of(machine_, what, kMore, shape, "").seconds.value;
    line->second.beta = (more - less) / (kMore - kLess);
    line->second.alpha = std::max(less - line->second.beta * kLess, 0.0);
  }
  return line->second.alpha + line->second.beta * bytes;
}

PricedLayout PlanPrices::of(const Layout& l) {
  Blocks& b = blocks_of(l);
  const int P = l.degrees.pipeline, parts = P * l.chunks, D = l.degrees.data;
  std::vector<int>& cuts = b.cuts[parts];
  if (cuts.empty()) cuts = cut_layers(b.layers, parts);

  // Seconds of the passes of each part, and of the slowest stage.
  ScheduleTimes times{.parts = {}};
  std::vector<double> of_stage(static_cast<std::size_t>(P)), computing(of_stage),
      num_blocks(of_stage);
  for (int part = 0; part < parts; ++part) {
    const auto at = static_cast<std::size_t>(part), stage = at % of_stage.size();
    double n = cuts[at + 1] - cuts[at];
    if (part == 0) --n;
    const double ends = part + 1 == parts ? 1 : 0;
    n -= ends;
    const double forward = n * b.block.forward + ends * b.ends.forward;
    const double backward = n * b.block.backward + ends * b.ends.backward;
    const double weights = n * b.block.weights + ends * b.ends.weights;
    // Elsewhere the gradient is sent on when both halves are done.
    const double later = l.schedule == "zb-h1" ? weights : 0;
    times.parts.push_back({forward, backward - later, later});
    of_stage[stage] += forward + backward;
    computing[stage] += n * b.block.computing + ends * b.ends.computing;
    num_blocks[stage] += n;
  }
  const auto slowest = static_cast<std::size_t>(std::max_element(of_stage.begin(), of_stage.end()) -
                                                of_stage.begin());

  double passes = static_cast<double>(l.num_micro) * of_stage.front();
  if (P > 1) {
    const auto simulated = std::min<std::int64_t>(l.num_micro, std::int64_t{2} * P);
    const MessagePlace place = message_place(0, 1, l.degrees, machine_.devices_per_node);
    times.message = message_time(machine_, b.message_bytes, place).seconds.value;
    const bool apart = machine_.device == "cuda";
    times.queue = apart ? MessageQueue::messages_only : MessageQueue::shared;
    PipelineSchedule schedule =
        make_schedule(l.schedule, {P, static_cast<int>(simulated), l.chunks});
    if (!apart) schedule = with_messages(schedule);
    passes = simulate_schedule(schedule, times).makespan +
             static_cast<double>(l.num_micro - simulated) * of_stage[slowest];
  }

  // The stage with most parameters: the first or the last has the table, others blocks only.
  const double table = b.head_parameters, other = std::max(b.ends.parameters - table, 0.0);
  double elements = 0;
  for (std::size_t s = 0; s < num_blocks.size(); ++s) {
    const bool end = s == 0 || s + 1 == num_blocks.size();
    elements = std::max(elements, num_blocks[s] * b.block.parameters + (end ? table + other : 0));
  }
  const double gradients = elements * kGradientBytes, values = elements * b.parameter_bytes;
  const double backward =
      of_stage[slowest] * b.block.backward / std::max(b.block.forward + b.block.backward, 1e-12);
  const double forward = of_stage[slowest] - backward;
  // What nothing hides: the last bucket; where layers are summed and gathered each by itself, the
  // table. Behind these sums wait those of the tensor group, in the same queue.
  const double last_bucket =
      l.zero < 2 ? l.bucket_mb * 1e6 / std::max(gradients, 1.0) : table / std::max(elements, 1.0);
  const bool queued = l.zero >= 2 && l.degrees.tensor > 1;
  const auto beyond = [&](double seconds, double hides) {
    return std::max(seconds - (queued ? 0 : hides), seconds * std::min(last_bucket, 1.0));
  };
  const auto m = static_cast<double>(l.num_micro);
  double data = 0, sent = 0;
  if (D > 1 && l.zero == 0) {
    sent = among_data(Collective::all_reduce, l, gradients);
    data = beyond(sent, backward);
  } else if (D > 1) {
    const double sum = among_data(Collective::reduce_scatter, l, gradients);
    const double gather = among_data(Collective::all_gather, l, values);
    sent = l.zero == 1 ? sum + gather : l.zero == 2 ? m * sum + gather : m * (sum + 2 * gather);
    data = l.zero == 1   ? beyond(sum, backward) + gather
           : l.zero == 2 ? m * beyond(sum, backward) + gather
                         : m * (beyond(gather, forward) + beyond(sum + gather, backward));
  }
  const double hidden = sent - std::min(data, sent);
  const double update = b.update_seconds * elements / (l.zero > 0 ? D : 1);

  PricedLayout priced{.layout = l,
                      .seconds = passes + data + update,
                      .compute = static_cast<double>(l.num_micro) * computing[slowest] + update,
                      .hidden = hidden};
  priced.bubble = std::max(passes - static_cast<double>(l.num_micro) * of_stage[slowest], 0.0);
  priced.exposed = std::max(priced.seconds - priced.compute - priced.bubble, 0.0);

  const double states = elements * (b.parameter_bytes / (l.zero == 3 ? D : 1) +
                                    b.gradient_bytes / (l.zero >= 2 ? D : 1) +
                                    b.optimizer_bytes / (l.zero >= 1 ? D : 1));
  // The last stage keeps logits beside its layers.
  const double first = stored(l, 0) * num_blocks.front() / l.chunks * b.block.activations;
  const double kept = l.schedule == "gpipe" || l.schedule == "zb-h1" ? stored(l, P - 1) : 1;
  const double last = stored(l, P - 1) * num_blocks.back() / l.chunks * b.block.activations +
                      kept * b.ends.activations;
  priced.memory_bytes = states + std::max(first, last);
  if (machine_.memory_bytes > 0 && priced.memory_bytes > machine_.memory_bytes) {
    priced.fits = false;
    priced.reason = format("needs %.1f GiB of tensors, a device has %.1f GiB",
                           priced.memory_bytes / kGiB, machine_.memory_bytes / kGiB);
  }
  return priced;
}

}  // namespace lockstep
