// SPDX-License-Identifier: Apache-2.0
// Every pipeline schedule. A schedule is one file of schedules/ that defines one ScheduleKind, and
// a line in table.cpp; the executor, the simulator, the checker and the tests walk this table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parallelism/pipeline/schedule.hpp"

namespace lockstep {

// The compute actions of a stage, in order: messages are inserted by with_messages. Backward passes
// of a chunk go through the micro-batches upwards, so that gradients are summed as in a serial run.
using StageActions = std::vector<Action>(const PipelineShape& shape, int stage);
// Why it cannot serve such a shape, with what would do; "" if it can.
using ShapeRefusal = std::string(const PipelineShape& shape);

std::string needs_one_chunk(const PipelineShape& shape);

struct ScheduleKind {
  const char* name;  // as parallel.schedule spells it
  StageActions* actions;
  ShapeRefusal* refusal;
  bool defers = false;  // weight gradients wait for passes of their own
};

std::span<const ScheduleKind* const> schedule_kinds();
// nullptr if there is none.
const ScheduleKind* find_schedule_kind(std::string_view name);
std::string schedule_names();  // "gpipe, 1f1b, ..."

// ConfigError unless it can serve this shape.
PipelineSchedule make_schedule(const ScheduleKind& kind, const PipelineShape& shape);
// parallel.schedule = NAME or FILE: compute actions only. ConfigError for what the user can fix.
PipelineSchedule make_schedule(const std::string& name_or_file, const PipelineShape& shape);

// Both halves of a backward pass, one behind the other.
void append_backward(std::vector<Action>& actions, int micro_batch, int chunk);

}  // namespace lockstep
