// SPDX-License-Identifier: Apache-2.0
#include "launch/report/run_report.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string_view>

#include "launch/experiment/measure.hpp"
#include "launch/prediction.hpp"
#include "launch/report/drawing.hpp"
#include "launch/report/numbers.hpp"
#include "launch/step_table.hpp"
#include "perfmodels/calibrate/statistics.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Look = Curve2d::Look;

constexpr int kShownRanks = 8;
constexpr std::size_t kShownPoints = 1000;  // of a long run every n-th step is drawn

struct Run {
  std::string dir{};
  JobConfig job{};
  RunLog log{};
  RunFacts facts{};
  std::optional<MeasuredTrace> trace{};
  MeasuredRun measured{};
  std::optional<JobPrediction> predicted{};
  std::string why_not{};  // there is no prediction
};

void predict(Run& run, const std::string& machine) {
  const std::string& name = machine.empty() ? run.job.job.machine : machine;
  run.why_not = "no machine profile was given (job.machine, or --machine)";
  if (name.empty()) return;
  try {
    run.predicted = predict_job(as_run(run.job, run.facts), find_machine(name), run.facts.ranks);
  } catch (const ConfigError& error) {
    run.why_not = error.what();
  }
}

Run load_run(const std::string& dir, const std::string& machine) {
  constexpr int kWarmUp = 2;
  Run run{.dir = dir};
  run.job = load_job(dir + "/job.toml");
  run.log = load_run_log(dir);
  run.facts = load_run_facts(dir);
  if (std::filesystem::exists(dir + "/trace.json")) run.trace = load_trace(dir + "/trace.json");
  if (run.facts.ranks == 0 && run.trace) run.facts.ranks = run.trace->ranks;
  run.measured = measure_run(dir, kWarmUp);
  predict(run, machine);
  return run;
}

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

void add_loss(Page& page, Drawing& drawing, const Run& run) {
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
void add_accuracy(Page& page, Drawing& drawing, const Run& run) {
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

void add_throughput(Page& page, Drawing& drawing, const Run& run) {
  CurveChart chart{.title = "Throughput", .x_label = "step"};
  chart.curves.push_back(curve_of(run.log, "measured", &LoggedStep::tokens_per_second));
  if (run.predicted)
    chart.curves.push_back(level(run.log, "predicted", run.predicted->step.tokens_per_second));
  double largest = 0;
  for (const Curve2d& curve : chart.curves) {
    for (const ChartPoint& p : curve.points)
      largest = std::max(largest, p.y);
  }
  const Unit unit = speed_unit(largest);
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

void add_breakdown(Page& page, Drawing& drawing, const Run& run) {
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

void add_timeline(Page& page, Drawing& drawing, const Run& run) {
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

// ---- tables

std::string error_text(double predicted, double measured) {
  return measured > 0 ? format("%+.1f %%", 100 * (predicted / measured - 1)) : "-";
}

void add_prediction(Page& page, const Run& run) {
  page.heading("Predicted against measured");
  if (!run.predicted) {
    page.paragraph("No prediction: " + run.why_not + ".");
    return;
  }
  const StepPrediction& p = run.predicted->step;
  const MeasuredRun& m = run.measured;
  const auto memory = static_cast<double>(p.memory.peak);
  std::vector<std::vector<std::string>> rows{
      {"step, ms", interval_text({m.step_seconds, m.low, m.high}, 1e3),
       interval_text({p.seconds, p.low, p.high}, 1e3), error_text(p.seconds, m.step_seconds)},
      {"tokens/s", number_text(m.tokens_per_second), number_text(p.tokens_per_second),
       error_text(p.tokens_per_second, m.tokens_per_second)}};
  if (m.memory_bytes > 0) {
    rows.push_back({"peak memory of a rank, MiB", format("%.1f", m.memory_bytes / (1 << 20)),
                    format("%.1f", memory / (1 << 20)), error_text(memory, m.memory_bytes)});
  }
  const StepParts parts = parts_of(p.breakdown);
  for (std::size_t i = 0; m.parts && i < kNumParts; ++i) {
    rows.push_back({std::string(title_of(static_cast<StepPart>(i))) + ", ms",
                    number_text(1e3 * m.parts->seconds[i]), number_text(1e3 * parts.seconds[i]),
                    m.parts->seconds[i] > 0.01 * m.step_seconds
                        ? error_text(parts.seconds[i], m.parts->seconds[i])
                        : "-"});
  }
  page.table({"", "measured", "predicted", "error"}, rows);
  page.note("By the profile of " + run.predicted->machine +
            (p.in_range ? "." : "; the job lies outside of what was measured for it.") +
            (run.predicted->note.empty() ? "" : " " + run.predicted->note + ".") +
            " Measured: the median step but for the first two, with the 90 % interval of its order "
            "statistics.");
}

void add_memory(Page& page, const Run& run) {
  if (!run.predicted) return;
  const MemoryStats& m = run.predicted->step.memory;
  std::vector<std::vector<std::string>> rows;
  for (int use = 0; use < kNumMemoryUses; ++use) {
    rows.push_back({name_of(static_cast<MemoryUse>(use)),
                    format("%.1f", static_cast<double>(m.at_peak[static_cast<std::size_t>(use)]) /
                                       (1 << 20))});
  }
  rows.push_back({"together, predicted", format("%.1f", static_cast<double>(m.peak) / (1 << 20))});
  if (run.facts.memory_bytes > 0)
    rows.push_back({"together, measured", format("%.1f", run.facts.memory_bytes / (1 << 20))});
  page.heading("Memory at its peak, of the rank that needs most");
  page.table({"", "MiB"}, rows);
}

std::string summary_line(const Run& run) {
  const JobConfig& job = run.job;
  const auto count = [](int n, const char* noun) {
    return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
  };
  std::string text =
      job.model.kind +
      format(", %lld layers, width %lld, sequence %lld; %lld sequences a step",
             static_cast<long long>(job.model.layers), static_cast<long long>(job.model.hidden),
             static_cast<long long>(job.model.sequence), static_cast<long long>(job.batch.global));
  if (run.facts.ranks > 0) text += " on " + count(run.facts.ranks, "rank");
  if (run.facts.nodes > 0) text += " of " + count(run.facts.nodes, "node");
  return text +
         format(". %zu steps, last loss %.4f", run.log.steps.size(), run.log.steps.back().loss) +
         (run.log.evaluations.empty()
              ? "."
              : format(", validation loss %.4f, accuracy %.2f %%.", run.log.evaluations.back().loss,
                       100 * run.log.evaluations.back().accuracy));
}

void add_target(Page& page, const Run& run) {
  const double loss = run.job.job.target_loss, accuracy = run.job.job.target_accuracy;
  if (loss <= 0 && accuracy <= 0) return;
  const std::string target = loss > 0 ? format("a validation loss of %g, ", loss)
                                      : format("a validation accuracy of %g %%, ", 100 * accuracy);
  page.paragraph("Target: " + target +
                 (run.facts.target_seconds > 0
                      ? "reached after " + number_text(run.facts.target_seconds) + " s of training."
                      : "not reached."));
}

void add_reproduction(Page& page, const Run& run) {
  page.heading("How to reproduce");
  const std::string start =
      run.facts.ranks > 1 ? format("mpirun -np %d ", run.facts.ranks) : std::string();
  page.preformatted(start + "lockstep train " + run.dir +
                    "/job.toml \\\n  --set job.run_dir=ANOTHER\nlockstep report " + run.dir +
                    "     # this page again");
  if (!run.facts.host.empty())
    page.paragraph("lockstep " + run.facts.version + " on " + run.facts.host + ".");
  page.note("job.toml beside this page has every key as it was used, metrics.jsonl every step.");
}

}  // namespace

ReportFile write_run_report(const std::string& run_dir, const std::string& machine) {
  const Run run = load_run(run_dir, machine);
  Page page(run.job.job.name);
  Drawing drawing(run_dir);
  page.paragraph(summary_line(run));
  add_target(page, run);
  add_loss(page, drawing, run);
  add_accuracy(page, drawing, run);
  add_throughput(page, drawing, run);
  add_breakdown(page, drawing, run);
  add_timeline(page, drawing, run);
  add_prediction(page, run);
  add_memory(page, run);
  add_reproduction(page, run);
  const std::string path = run_dir + "/report.html";
  write_file(path, page.html());
  return {path, drawing.missing()};
}

}  // namespace lockstep
