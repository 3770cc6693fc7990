// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/table.hpp"

#include <filesystem>

#include "parallelism/pipeline/schedule_file.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

// clang-format off
extern const ScheduleKind
    gpipe_schedule,
    interleaved_schedule,
    one_forward_one_backward_schedule,
    zero_bubble_schedule;

namespace {

constexpr const ScheduleKind* kScheduleKinds[] = {
    &gpipe_schedule,
    &one_forward_one_backward_schedule,
    &interleaved_schedule,
    &zero_bubble_schedule,
};
// clang-format on

void check_shape(const PipelineShape& shape) {
  if (shape.stages >= 1 && shape.micro_batches >= 1 && shape.chunks >= 1) return;
  throw ConfigError(
      format("a pipeline of %d stages, %d chunks per stage and %d micro-batches: each "
             "must be 1 or more",
             shape.stages, shape.chunks, shape.micro_batches));
}

}  // namespace

std::span<const ScheduleKind* const> schedule_kinds() {
  return kScheduleKinds;
}

const ScheduleKind* find_schedule_kind(std::string_view name) {
  for (const ScheduleKind* kind : kScheduleKinds) {
    if (kind->name == name) return kind;
  }
  return nullptr;
}

std::string schedule_names() {
  std::string names;
  for (const ScheduleKind* kind : kScheduleKinds)
    names += (names.empty() ? "" : ", ") + std::string(kind->name);
  return names;
}

std::string needs_one_chunk(const PipelineShape& shape) {
  if (shape.chunks == 1) return "";
  return format(
      "holds one chunk per stage, but parallel.chunks is %d; set it to 1 or take "
      "interleaved",
      shape.chunks);
}

PipelineSchedule make_schedule(const ScheduleKind& kind, const PipelineShape& shape) {
  check_shape(shape);
  const std::string why_not = kind.refusal(shape);
  if (!why_not.empty())
    throw ConfigError("parallel.schedule = \"" + std::string(kind.name) + "\" " + why_not);

  PipelineSchedule schedule{kind.name, shape, {}};
  for (int stage = 0; stage < shape.stages; ++stage)
    schedule.stages.push_back(kind.actions(shape, stage));
  return schedule;
}

PipelineSchedule make_schedule(const std::string& name_or_file, const PipelineShape& shape) {
  if (const ScheduleKind* kind = find_schedule_kind(name_or_file))
    return make_schedule(*kind, shape);
  check_shape(shape);
  if (std::filesystem::exists(name_or_file)) return read_schedule(name_or_file, shape);
  throw ConfigError("parallel.schedule = \"" + name_or_file + "\" is no file and none of " +
                    schedule_names());
}

void append_backward(std::vector<Action>& actions, int micro_batch, int chunk) {
  actions.push_back({ActionKind::backward_input, micro_batch, chunk});
  actions.push_back({ActionKind::backward_weight, micro_batch, chunk});
}

}  // namespace lockstep
