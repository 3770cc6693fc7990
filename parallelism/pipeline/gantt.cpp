// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/gantt.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

// A pass on `width` columns: its letter, its numbers where they fit, and a dash for each column
// left.
std::string box(const GanttSpan& span, std::size_t width) {
  std::string label = text_of({span.kind, span.micro_batch, span.chunk});
  if (label.size() > width) label.resize(1);
  return label + std::string(width - label.size(), '-');
}

}  // namespace

std::vector<GanttSpan> gantt_spans(const PipelineSchedule& schedule,
                                   const SimulatedSchedule& simulated) {
  std::vector<GanttSpan> spans;
  for (std::size_t s = 0; s < schedule.stages.size(); ++s) {
    for (std::size_t i = 0; i < schedule.stages[s].size(); ++i) {
      const Action& action = schedule.stages[s][i];
      const ActionTime& time = simulated.stages[s][i];
      spans.push_back({static_cast<int>(s), action.kind, action.micro_batch, action.chunk,
                       time.begin, time.end});
    }
  }
  return spans;
}

std::string gantt_text(const std::vector<GanttSpan>& spans, int columns) {
  if (spans.empty()) return "";
  double begin = spans[0].begin, end = spans[0].end;
  int last_stage = 0;
  for (const GanttSpan& span : spans) {
    begin = std::min(begin, span.begin);
    end = std::max(end, span.end);
    last_stage = std::max(last_stage, span.stage);
  }
  const double length = end > begin ? end - begin : 1;
  auto column = [&](double time) {
    return static_cast<std::size_t>(std::lround((time - begin) / length * columns));
  };

  std::vector<std::string> rows(static_cast<std::size_t>(last_stage) + 1,
                                std::string(static_cast<std::size_t>(columns), '.'));
  for (const GanttSpan& span : spans) {
    const std::size_t first = column(span.begin), width = column(span.end) - first;
    if (!is_compute(span.kind) || width == 0) continue;
    rows[static_cast<std::size_t>(span.stage)].replace(first, width, box(span, width));
  }
  std::string text;
  for (std::size_t s = 0; s < rows.size(); ++s)
    text += format("stage %2zu |%s|\n", s, rows[s].c_str());
  return text + format(
                    "F forward, B backward of the input, W gradient of the weights, . idle; "
                    "%.4g s from edge to edge\n",
                    end - begin);
}

}  // namespace lockstep
