// SPDX-License-Identifier: Apache-2.0
#include "launch/report/run_charts.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "launch/report/numbers.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Look = Curve2d::Look;

constexpr int kShownRanks = 8;
constexpr std::size_t kShownPoints = 1000;  // of a long run every n-th step is drawn

Curve2d curve_of(const RunLog& log, const std::string& title, double LoggedStep::*member) {
  Curve2d curve{title, Look::plain, 0, {}};
  const std::size_t every = 1 + log.steps.size() / kShownPoints;
  for (std::size_t i = 0; i < log.steps.size(); i += every)
    curve.points.push_back({static_cast<double>(log.steps[i].step), log.steps[i].*member, 0, 0});
  return curve;
}

Curve2d level(const RunLog& log, const std::string& title, double y) {
  return {title,
          Look::ideal,
          0,
          {{static_cast<double>(log.steps.front().step), y, 0, 0},
           {static_cast<double>(log.steps.back().step), y, 0, 0}}};
}

void add_loss(Page& page, Drawing& drawing, const ReportedRun& run) {
  CurveChart chart{.title = "Loss",
                   .x_label = "step",
                   .y_label = run.job.data.kind == "bytes" ? "nats per byte" : "nats per token"};
  chart.curves.push_back(curve_of(run.log, "training", &LoggedStep::loss));
  Curve2d validation{"validation", Look::measured, 1, {}};
  for (const LoggedEvaluation& e : run.log.evaluations)
    validation.points.push_back({static_cast<double>(e.step), e.loss, 0, 0});
  if (!validation.points.empty()) chart.curves.push_back(std::move(validation));
  if (run.job.job.target_loss > 0)
    chart.curves.push_back(level(run.log, "target", run.job.job.target_loss));
  page.heading("Loss");
  drawing.add(page, chart, "loss", "Loss of each step and of the evaluations.");
}

// Where the target is one, or where it can be seen to grow.
void add_accuracy(Page& page, Drawing& drawing, const ReportedRun& run) {
  const double target = 100 * run.job.job.target_accuracy;
  CurveChart chart{.title = "Accuracy", .x_label = "step", .y_label = "%"};
  Curve2d validation{"validation", Look::measured, 1, {}};
  for (const LoggedEvaluation& e : run.log.evaluations)
    validation.points.push_back({static_cast<double>(e.step), 100 * e.accuracy, 0, 0});
  if (validation.points.empty() || (target == 0 && validation.points.size() < 2)) return;
  chart.curves.push_back(std::move(validation));
  if (target > 0) chart.curves.push_back(level(run.log, "target", target));
  page.heading("Accuracy");
  drawing.add(page, chart, "accuracy", "Share of the validation tokens that the model foretells.");
}

void add_throughput(Page& page, Drawing& drawing, const ReportedRun& run) {
  CurveChart chart{.title = "Throughput", .x_label = "step"};
  chart.curves.push_back(curve_of(run.log, "measured", &LoggedStep::tokens_per_second));
  if (run.predicted)
    chart.curves.push_back(level(run.log, "predicted", run.predicted->step.tokens_per_second));
  double largest = 0;
  for (const Curve2d& curve : chart.curves) {
    for (const ChartPoint& p : curve.points)
      largest = std::max(largest, p.y);
  }
  const ShownUnit unit = speed_unit(largest);
  chart.y_label = unit.name;
  for (Curve2d& curve : chart.curves) {
    for (ChartPoint& p : curve.points)
      p.y *= unit.factor;
  }
  page.heading("Throughput");
  drawing.add(page, chart, "throughput", "Speed of each step, of all ranks together.");
}

std::vector<double> milliseconds(const StepParts& parts) {
  std::vector<double> all;
  for (const double s : parts.seconds)
    all.push_back(1e3 * s);
  return all;
}

void add_breakdown(Page& page, Drawing& drawing, const ReportedRun& run) {
  StackChart chart{"Where the time of a step goes", "ms", {}, {}, {}};
  for (std::size_t i = 0; i < kNumParts; ++i)
    chart.parts.emplace_back(title_of(static_cast<StepPart>(i)));
  if (run.measured.parts) {
    chart.stacks.push_back({"", chart.groups.size(), milliseconds(*run.measured.parts)});
    chart.groups.emplace_back("measured");
  }
  if (run.predicted) {
    chart.stacks.push_back(
        {"", chart.groups.size(), milliseconds(parts_of(run.predicted->step.breakdown))});
    chart.groups.emplace_back("predicted");
  }
  if (chart.stacks.empty()) return;
  page.heading("Where the time goes");
  drawing.add(page, chart, "breakdown",
              "Parts of a step, the mean over its ranks; measured from the traced steps, in "
              "proportion to the "
              "median step.");
}

// ---- the timeline

constexpr const char* kKinds[] = {"matrix products", "attention", "other kernels", "communication"};

// The last traced step of rank 0: from the end of its last update but one to that of its last.
std::pair<double, double> last_step(const MeasuredTrace& trace) {
  double begin = 0, end = 0;
  bool any = false;
  for (const MeasuredOperation& m : trace.operations) {
    if (m.rank != 0) continue;
    if (!any) begin = end = m.begin;
    any = true;
    if (m.operation.name != std::string_view("update")) continue;
    begin = end;
    end = m.begin + m.seconds;
  }
  return {begin, end};
}

void add_timeline(Page& page, Drawing& drawing, const ReportedRun& run) {
  if (!run.trace) return;
  const auto [begin, end] = last_step(*run.trace);
  const int ranks = std::min(run.trace->ranks, kShownRanks);
  Timeline chart{"One step", "ms", {}, {std::begin(kKinds), std::end(kKinds)}, {}};
  for (int r = 0; r < ranks; ++r) {
    chart.rows.push_back(format("rank %d, computing", r));
    chart.rows.push_back(format("rank %d, communication", r));
  }
  for (const MeasuredOperation& m : run.trace->operations) {
    const double from = std::max(m.begin, begin), to = std::min(m.begin + m.seconds, end);
    if (m.rank >= ranks || m.operation.kind == OperationKind::phase || from >= to) continue;
    const bool call = m.operation.kind == OperationKind::collective;
    chart.bars.push_back({1e3 * (from - begin), 1e3 * (to - begin),
                          2 * static_cast<std::size_t>(m.rank) + call,
                          static_cast<std::size_t>(m.operation.kind)});
  }
  page.heading("Timeline of one step");
  std::string caption =
      "The last traced step; trace.json, for Perfetto or chrome://tracing, has all of it.";
  if (run.trace->ranks > ranks)
    caption += format(" The first %d of %d ranks.", ranks, run.trace->ranks);
  drawing.add(page, chart, "timeline", caption);
}

}  // namespace

void add_run_charts(Page& page, Drawing& drawing, const ReportedRun& run) {
  add_loss(page, drawing, run);
  add_accuracy(page, drawing, run);
  add_throughput(page, drawing, run);
  add_breakdown(page, drawing, run);
  add_timeline(page, drawing, run);
}

}  // namespace lockstep
