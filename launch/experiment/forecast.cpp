// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/forecast.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "launch/experiment/launcher.hpp"
#include "launch/prediction.hpp"
#include "launch/step_table.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

PredictedPoint predicted_point(const JobPrediction& p) {
  const StepPrediction& s = p.step;
  return {.step_seconds = s.seconds,
          .low = s.has_interval() ? s.low : 0,
          .high = s.has_interval() ? s.high : 0,
          .tokens_per_second = s.tokens_per_second,
          .mfu = s.mfu,
          .memory_bytes = static_cast<double>(s.memory.peak),
          .in_range = s.in_range,
          .parts = parts_of(s.breakdown)};
}

// A forward pass is a third of a step.
double steps_of(const JobConfig& job) {
  const double evaluations =
      job.data.validation_share <= 0 && job.data.validation_path.empty() ? 0
      : job.job.evaluate_every > 0
          ? static_cast<double>(job.job.steps) / static_cast<double>(job.job.evaluate_every)
          : 1;
  return static_cast<double>(job.job.steps) +
         evaluations * static_cast<double>(job.job.evaluate_batches) / 3;
}

std::string row_text(const ExperimentPoint& point, const Forecast& f, int width) {
  std::string text = format("%-*s %6d %6d", width, point.name.c_str(), point.ranks, f.nodes);
  if (!f.step) return text + "   " + f.why_not + "\n";
  const PredictedPoint& p = *f.step;
  const double exposed =
      p.parts[StepPart::communication] + p.parts[StepPart::waiting] + p.parts[StepPart::bubble];
  return text + format(" %11.2f %11.0f %9.1f %% %10.1f %9.1f%s\n", 1e3 * p.step_seconds,
                       p.tokens_per_second, 100 * exposed / p.step_seconds,
                       p.memory_bytes / (1 << 20), f.run_seconds,
                       p.in_range ? "" : "  outside the calibrated range");
}

std::string cost_text(const ExperimentFile& e, const std::vector<Forecast>& forecasts,
                      std::size_t finished) {
  double seconds = 0, hours = 0;
  std::size_t known = 0;
  for (const Forecast& f : forecasts) {
    known += f.run_seconds > 0;
    seconds += f.run_seconds * e.repetitions;
    hours += f.node_hours() * e.repetitions;
  }
  const std::size_t runs = forecasts.size() * static_cast<std::size_t>(e.repetitions);
  const auto s = [](std::size_t n) { return n == 1 ? "" : "s"; };
  std::string text =
      format("%zu point%s x %d repetition%s = %zu run%s", forecasts.size(), s(forecasts.size()),
             e.repetitions, s(static_cast<std::size_t>(e.repetitions)), runs, s(runs));
  if (finished > 0) text += format(", %zu of them done", finished);
  if (known == 0) return text + "; what they cost is not predicted\n";
  return text + format("; %s about %s, %.3g node hours\n",
                       known == forecasts.size() ? "all together" : "without those not predicted",
                       duration_text(seconds).c_str(), hours);
}

}  // namespace

int ranks_per_node(const ExperimentFile& e, const std::optional<Machine>& machine) {
  if (e.ranks_per_node > 0) return e.ranks_per_node;
  return machine ? machine->devices_per_node : std::numeric_limits<int>::max() / 2;
}

std::vector<Forecast> forecast(const ExperimentFile& e, const std::vector<ExperimentPoint>& points,
                               const std::optional<Machine>& machine) {
  std::vector<Forecast> all;
  for (const ExperimentPoint& point : points) {
    Forecast& f = all.emplace_back();
    f.nodes = nodes_of(point.ranks, ranks_per_node(e, machine));
    f.why_not = "not predicted: experiment.machine names no profile";
    if (!machine) continue;
    try {
      const JobPrediction predicted = predict_job(point.job, *machine, point.ranks);
      f.step = predicted_point(predicted);
      f.note = predicted.note;
      f.run_seconds = e.start_seconds + steps_of(point.job) * f.step->step_seconds;
    } catch (const ConfigError& error) {
      f.why_not = std::string("not predicted: ") + error.what();
    }
  }
  return all;
}

std::string forecast_text(const ExperimentFile& e, const std::vector<ExperimentPoint>& points,
                          const std::vector<Forecast>& forecasts, std::size_t finished) {
  int width = 5;
  for (const ExperimentPoint& point : points)
    width = std::max(width, static_cast<int>(point.name.size()));
  std::string text = format("%-*s %6s %6s %11s %11s %11s %10s %9s\n", width, "predicted", "ranks",
                            "nodes", "step ms", "tokens/s", "idle", "MiB", "run s");
  for (std::size_t i = 0; i < points.size(); ++i)
    text += row_text(points[i], forecasts[i], width);
  std::set<std::string> notes;
  for (const Forecast& f : forecasts) {
    if (!f.note.empty() && notes.insert(f.note).second) text += f.note + "\n";
  }
  return text + cost_text(e, forecasts, finished);
}

}  // namespace lockstep
