// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_blocks.hpp"

#include <algorithm>
#include <string_view>

#include "models/registry.hpp"
#include "parallelism/pipeline/table.hpp"
#include "perfmodels/plan_stored.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/step_time.hpp"

namespace lockstep {

namespace {

constexpr int kBlocks = 2, kFewer = 2, kMore = 3;  // of a recording; micro-batches of two of them

// A schedule with which every stage keeps all micro-batches until all of them have come to the
// last.
bool keeps_all(const ScheduleKind& kind) {
  const PipelineShape shape{kBlocks + 2, kMore, 1};
  if (!kind.refusal(shape).empty()) return false;
  const std::vector<int> stored = stored_passes(make_schedule(kind, shape)).stored;
  return std::all_of(stored.begin(), stored.end(), [](int n) { return n == kMore; });
}
bool defers_one_chunk(const ScheduleKind& kind) {
  return kind.defers && kind.refusal({kBlocks + 2, kBlocks + 2, 1}).empty();
}

// nullptr if the table has none.
const ScheduleKind* schedule_that(bool (*does)(const ScheduleKind&)) {
  const auto kinds = schedule_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](auto* k) { return does(*k); });
  return found == kinds.end() ? nullptr : *found;
}

JobConfig one_layer_per_stage(const JobConfig& job, const Layout& l, int micro_batches,
                              const ScheduleKind& schedule, int blocks = kBlocks) {
  JobConfig small = job;
  small.model.layers = blocks;
  const auto stages = static_cast<int>(plan_model(small.model).layers.size());
  small.batch = {.global = micro_batches * l.micro, .micro = l.micro};
  small.parallel = {.data = 1,
                    .tensor = l.degrees.tensor,
                    .pipeline = stages,
                    .schedule = schedule.name,
                    .sequence_parallel = l.sequence_parallel,
                    .recompute = l.recompute};
  return small;
}

std::unique_ptr<StepRecord> record_layers(const JobConfig& job, const Machine& machine,
                                          const CommunicatorOptions& options) {
  auto record = record_step(job, job.parallel.pipeline * job.parallel.tensor, machine, options);
  record->messages.awaited = true;
  return record;
}

const RoleRecord& role_at(const StepRecord& record, std::size_t stage) {
  return record.role(record.role_of[stage]);
}

double at_peak(const RoleRecord& role, MemoryUse use) {
  return static_cast<double>(role.memory.at_peak[static_cast<std::size_t>(use)]);
}

double besides_states(const RoleRecord& role) {
  return at_peak(role, MemoryUse::activations) + at_peak(role, MemoryUse::buffers);
}

// The kernels of the phase "update", with their launches.
double update_seconds(const RoleRecord& role, OperationTimes& times) {
  const auto& records = role.recording.records();
  double seconds = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Operation& phase = records[i].operation;
    if (phase.kind != OperationKind::phase || std::string_view(phase.name) != "update") continue;
    for (std::size_t k = i - static_cast<std::size_t>(phase.shape[0]); k < i; ++k) {
      const Operation& o = records[k].operation;
      if (records[k].stream != StreamKind::compute || o.kind == OperationKind::phase) continue;
      seconds += times.of(o).seconds.value + times.kernels().profile(o).launch.value;
    }
  }
  return seconds;
}

// The passes of the first micro-batch.
void add_passes(LayerCosts& layer, const StepPrediction& step, std::size_t stage) {
  for (const GanttSpan& pass : step.passes) {
    if (pass.stage != static_cast<int>(stage) || pass.micro_batch != 0) continue;
    if (pass.kind == ActionKind::forward) layer.forward += pass.end - pass.begin;
    const bool backward =
        pass.kind == ActionKind::backward_input || pass.kind == ActionKind::backward_weight;
    if (backward) layer.backward += pass.end - pass.begin;
  }
}

struct Recorded {
  const StepRecord& fewer;
  const StepRecord& more;
  const StepPrediction& step;  // of the first
  OperationTimes& times;

  LayerCosts layer(std::size_t stage) const {
    const RoleRecord &few = role_at(fewer, stage), &many = role_at(more, stage);
    LayerCosts c{.parameters = static_cast<double>(few.parameters)};
    add_passes(c, step, stage);
    c.computing = (step.stages[stage].computing - update_seconds(few, times)) / kFewer;
    c.kept = besides_states(many) - besides_states(few);
    c.working = besides_states(few) - kFewer * c.kept;
    return c;
  }
};

// The two passes of backward, of the first micro-batch.
void add_halves(LayerCosts& layer, const StepPrediction& step, std::size_t stage) {
  for (const GanttSpan& pass : step.passes) {
    if (pass.stage != static_cast<int>(stage) || pass.micro_batch != 0) continue;
    if (pass.kind == ActionKind::backward_input) layer.input += pass.end - pass.begin;
    if (pass.kind == ActionKind::backward_weight) layer.weights += pass.end - pass.begin;
  }
}

// Behind a backward pass on stage s of P, P-1-s micro-batches are kept and s+1 wait. Two
// recordings, of P = 3 and 4, have one more that waits on their last stage with a block, and on
// their head.
void add_deferred(BlockCosts& b, const StepRecord& three, const StepRecord& four,
                  const Machine& machine) {
  const StepPrediction step = predict_step(four, machine);
  const auto add = [&](LayerCosts& layer, std::size_t from_end) {
    const double fewer = besides_states(role_at(three, 3 - from_end));
    const double more = besides_states(role_at(four, 4 - from_end));
    layer.waiting = more - fewer;
    const auto behind = static_cast<double>(from_end - 1);
    layer.deferring = more - behind * layer.kept - (4 - behind) * layer.waiting;
    add_halves(layer, step, 4 - from_end);
  };
  add(b.block, 2);
  add(b.head, 1);
  // All of the embedding's backward pass is the second half.
  b.embedding.waiting = b.embedding.kept;
  b.embedding.deferring = b.embedding.working;
  b.embedding.weights = b.embedding.backward;
}

}  // namespace

BlockCosts costs_of_blocks(const JobConfig& job, const Layout& l, const Machine& machine,
                           const CommunicatorOptions& options) {
  const ScheduleKind* keeping = schedule_that(keeps_all);
  expect(keeping != nullptr, "no schedule keeps all micro-batches on every stage");
  const JobConfig small = one_layer_per_stage(job, l, kFewer, *keeping);
  const auto fewer = record_layers(small, machine, options);
  const auto more = record_layers(one_layer_per_stage(job, l, kMore, *keeping), machine, options);
  const StepPrediction step = predict_step(*fewer, machine);
  OperationTimes times(machine);
  const Recorded recorded{*fewer, *more, step, times};
  BlockCosts b{.embedding = recorded.layer(0),
               .block = recorded.layer(1),
               .head = recorded.layer(fewer->role_of.size() - 1)};
  if (const ScheduleKind* kind = schedule_that(defers_one_chunk)) {
    const auto record = [&](int blocks) {
      return record_layers(one_layer_per_stage(job, l, blocks + 2, *kind, blocks), machine,
                           options);
    };
    add_deferred(b, *record(kBlocks - 1), *record(kBlocks), machine);
  }

  const RoleRecord& of_block = role_at(*fewer, 1);
  const double elements = b.block.parameters;
  b.update_seconds = update_seconds(of_block, times) / elements;
  b.parameter_bytes = at_peak(of_block, MemoryUse::parameters) / elements;
  b.gradient_bytes = at_peak(of_block, MemoryUse::gradients) / elements;
  b.optimizer_bytes = at_peak(of_block, MemoryUse::optimizer) / elements;
  const ModelSection& m = job.model;
  b.table = static_cast<double>(m.vocabulary) * static_cast<double>(m.hidden) / l.degrees.tensor;
  const double rows =
      static_cast<double>(l.micro * m.sequence) / (l.sequence_parallel ? l.degrees.tensor : 1);
  b.message_bytes = rows * static_cast<double>(m.hidden) * b.parameter_bytes;
  // All blocks are alike.
  const auto few = survey(plan_model(small.model), small, l.degrees.tensor, l.micro);
  b.layers.assign(plan_model(m).layers.size(), few[1]);
  b.layers.front() = few.front();
  b.layers.back() = few.back();
  return b;
}

}  // namespace lockstep
