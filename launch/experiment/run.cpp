// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/run.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "launch/build_facts.hpp"
#include "launch/experiment/measure.hpp"
#include "launch/experiment/process.hpp"
#include "launch/step_table.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/process.hpp"
#include "runtime/context/signals.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeptLines = 20;  // launchers have a long last word
constexpr const char* kClearLine = "\r\x1b[K";

std::string time_of_day() {
  const std::time_t seconds = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// What our program said, or else the last that was said.
std::string reason_of(const ResultRow& row) {
  for (const std::string& line : row.last_lines) {
    if (line.rfind("lockstep: ", 0) == 0) return line.substr(10);
  }
  return row.last_lines.empty() ? "it said nothing" : row.last_lines.back();
}

class Runner {
 public:
  Runner(const ExperimentRun& run, ExperimentFolder& folder)
      : run_(run), folder_(folder), missing_(missing_runs(run, folder)) {
    for (const ExperimentPoint& point : run.points)
      width_ = std::max(width_, static_cast<int>(point.name.size()));
  }

  int run_all() {
    const SignalGuard signals;
    print_header();
    for (; at_ < missing_.size() && !stop_requested(); ++at_) {
      if (!run_one(missing_[at_])) break;
    }
    clear_line();
    if (!stop_requested()) return 0;
    std::printf("stopped by a signal; the same command continues with the %zu runs that are left\n",
                missing_.size() - at_);
    return 128 + stop_signal();
  }

 private:
  // False: it was stopped, and there is no row.
  bool run_one(const PlannedRun& planned) {
    ResultRow row = new_row(run_, planned);
    if (run_.experiment.launcher == "predict") {
      if (!row.predicted) fail(row, {run_.forecasts[planned.point].why_not});
    } else if (!start(row, planned)) {
      return false;
    }
    folder_.add(row);
    ++runs_told_;
    told_ += row.wall_seconds;
    forecast_told_ += run_.forecasts[planned.point].run_seconds;
    print(row);
    return true;
  }

  bool start(ResultRow& row, const PlannedRun& planned) {
    const ExperimentPoint& point = run_.points[planned.point];
    const std::string name = file_name_of(point, planned.repetition);
    const std::string run_dir = folder_.run_dir(name), log = folder_.log_file(name);
    fs::remove_all(run_dir);  // what a run that was killed left
    row.job.job.run_dir = run_dir;
    row.job.job.name = name;
    write_file(folder_.job_file(name), to_toml(row.job));
    const auto words = command_of(run_.launch, point.ranks, folder_.job_file(name));
    const ProcessEnd end = run_process(words, log, run_.experiment.timeout_seconds,
                                       [&] { draw_bar(point, planned.repetition, run_dir); });
    if (end.stopped) return false;
    row.wall_seconds = end.seconds;
    row.exit_status = end.status;
    row.status = "done";
    if (end.too_late) {
      fail(row, {format("no end after %.0f s", run_.experiment.timeout_seconds)});
    } else if (end.status != 0) {
      fail(row, last_lines(log, kKeptLines));
    } else {
      take_measurement(row, run_dir, run_.experiment.skip_steps);
    }
    return true;
  }

  // ---- what is seen

  void print_header() const {
    if (missing_.empty()) return;
    std::printf("%9s  %-*s %3s %11s %11s %9s %11s %8s\n", "run", width_, "point", "rep", "step ms",
                "predicted", "error", "tokens/s", "left");
  }

  void print(const ResultRow& row) const {
    clear_line();
    const std::string run = format("%zu/%zu", at_ + 1, missing_.size());
    std::printf("%9s  %-*s %3d ", run.c_str(), width_, row.point.c_str(), row.repetition);
    std::printf("%s %8s\n", row_text(row).c_str(), duration_text(seconds_left(at_ + 1)).c_str());
    std::fflush(stdout);
  }

  static std::string row_text(const ResultRow& row) {
    if (row.failed() && row.launcher == "predict") return reason_of(row);
    if (row.failed()) {
      return format("failed with status %d: %s", row.exit_status, reason_of(row).c_str());
    }
    const double predicted = row.predicted ? row.predicted->step_seconds : 0;
    if (!row.measured) {
      return format("%11s %11.2f %9s %11.0f", "", 1e3 * predicted, "",
                    row.predicted->tokens_per_second);
    }
    const MeasuredRun& m = *row.measured;
    const std::string step = format("%11.2f", 1e3 * m.step_seconds);
    const std::string rest = format(" %11.0f", m.tokens_per_second);
    if (predicted == 0) return step + format(" %11s %9s", "", "") + rest;
    return step +
           format(" %11.2f %+7.1f %%", 1e3 * predicted, 100 * (predicted / m.step_seconds - 1)) +
           rest;
  }

  // Of the runs from `first` on, corrected by how long those before took.
  double seconds_left(std::size_t first) const {
    double left = 0;
    for (std::size_t i = first; i < missing_.size(); ++i) {
      const double expected = run_.forecasts[missing_[i].point].run_seconds;
      left += forecast_told_ > 0 ? expected * told_ / forecast_told_
              : runs_told_ > 0   ? told_ / runs_told_
                                 : expected;
    }
    return left;
  }

  void draw_bar(const ExperimentPoint& point, int repetition, const std::string& run_dir) const {
    if (!run_.bar) return;
    std::ifstream file(run_dir + "/metrics.jsonl");
    const auto steps = std::count(std::istreambuf_iterator<char>(file), {}, '\n');
    std::printf("%s[%zu/%zu] %s, repetition %d: step %ld of %lld, %s left", kClearLine, at_ + 1,
                missing_.size(), point.name.c_str(), repetition, static_cast<long>(steps),
                static_cast<long long>(point.job.job.steps),
                duration_text(seconds_left(at_)).c_str());
    std::fflush(stdout);
  }

  void clear_line() const {
    if (run_.bar) std::fputs(kClearLine, stdout);
  }

  const ExperimentRun& run_;
  ExperimentFolder& folder_;
  std::vector<PlannedRun> missing_;
  std::size_t at_ = 0;
  int runs_told_ = 0;
  double told_ = 0, forecast_told_ = 0;  // seconds that runs took, and should have taken
  int width_ = 5;
};

}  // namespace

std::vector<PlannedRun> runs_of(const ExperimentFile& e, std::size_t points) {
  return order_of(points, e.launcher == "predict" ? 1 : e.repetitions,
                  static_cast<std::uint64_t>(e.order_seed));
}

std::vector<PlannedRun> missing_runs(const ExperimentRun& run, const ExperimentFolder& folder) {
  std::vector<PlannedRun> missing;
  for (const PlannedRun& planned : runs_of(run.experiment, run.points.size())) {
    if (!folder.has(run.points[planned.point], planned.repetition, run.retry))
      missing.push_back(planned);
  }
  return missing;
}

ResultRow new_row(const ExperimentRun& run, const PlannedRun& planned) {
  const ExperimentPoint& point = run.points[planned.point];
  const Forecast& forecast = run.forecasts[planned.point];
  return {.version = build_facts().version,
          .point = point.name,
          .series = point.series,
          .fingerprint = point.fingerprint,
          .values = point.values,
          .repetition = planned.repetition,
          .ranks = point.ranks,
          .nodes = forecast.nodes,
          .status = "predicted",
          .launcher = run.experiment.launcher,
          .host = host_name(),
          .started = time_of_day(),
          .predicted = forecast.step,
          .job = point.job};
}

void take_measurement(ResultRow& row, const std::string& run_dir, int skip_steps) {
  try {
    row.measured = measure_run(run_dir, skip_steps);
    row.status = "done";
  } catch (const ConfigError& error) {
    fail(row, {error.what()});
  }
}

void fail(ResultRow& row, std::vector<std::string> lines) {
  row.status = "failed";
  row.last_lines = std::move(lines);
}

int run_missing(const ExperimentRun& run, ExperimentFolder& folder) {
  let_root_start_ranks();
  return Runner(run, folder).run_all();
}

}  // namespace lockstep
