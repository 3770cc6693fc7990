// SPDX-License-Identifier: Apache-2.0
// A pipeline step as a diagram, one row per stage, from spans that were simulated or measured.
#pragma once

#include <string>
#include <vector>

#include "parallelism/pipeline/schedule.hpp"
#include "parallelism/pipeline/simulate.hpp"

namespace lockstep {

struct GanttSpan {
  int stage = 0;
  ActionKind kind{};
  int micro_batch = 0, chunk = 0;
  double begin = 0, end = 0;  // seconds
};

std::vector<GanttSpan> gantt_spans(const PipelineSchedule& schedule,
                                   const SimulatedSchedule& simulated);

// `columns` characters for the whole step; passes only. "F3--" is a pass of four columns.
std::string gantt_text(const std::vector<GanttSpan>& spans, int columns);

// An SVG file: passes as boxes, messages as thin bars below the stage where they stand.
std::string gantt_svg(const std::vector<GanttSpan>& spans, const std::string& title);

}  // namespace lockstep
