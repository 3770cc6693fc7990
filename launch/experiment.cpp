// SPDX-License-Identifier: Apache-2.0
// `lockstep experiment EXP.toml`: says what an experiment will give and cost, runs what it still
// lacks, and writes its report.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "launch/command.hpp"
#include "launch/experiment/batch.hpp"
#include "launch/experiment/judge.hpp"
#include "launch/experiment/run.hpp"
#include "launch/experiment/summary.hpp"
#include "launch/job.hpp"
#include "launch/report/experiment_report.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/plot.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/mapped_file.hpp"
#include "runtime/base/process.hpp"

namespace lockstep {

namespace {

struct ExperimentOptions {
  std::string file, machine, launcher, dir;
  std::vector<std::string> overrides;
  bool plan = false, retry = false, help_keys = false;
};

ExperimentFile file_of(const ExperimentOptions& options) {
  if (options.file.empty()) {
    throw ConfigError("experiment needs a file: lockstep experiment EXP.toml (--help-keys)");
  }
  ExperimentFile e = load_experiment(options.file);
  if (!options.machine.empty()) e.machine = options.machine;
  if (!options.launcher.empty()) e.launcher = options.launcher;
  if (!options.dir.empty()) e.dir = options.dir;
  if (e.launcher == "predict" && e.machine.empty()) {
    throw ConfigError("--launcher predict needs --machine or experiment.machine");
  }
  return e;
}

std::string text_of(const std::string& path) {
  const MappedFile file = MappedFile::open(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// Beside the copy of the experiment, which names it so.
void keep_job(const ExperimentFile& e) {
  write_file(e.dir + "/" + std::filesystem::path(e.job).filename().string(), text_of(e.job));
}

std::vector<std::string> names_of(const std::vector<ExperimentPoint>& points) {
  std::vector<std::string> names;
  for (const ExperimentPoint& point : points)
    names.push_back(point.name);
  return names;
}

void say_verdicts(const ExperimentFile& e, const std::vector<PointSummary>& points) {
  for (const Judgement& j : judge(e.hypothesis, points))
    std::printf("hypothesis: %s: %s (%s)\n", j.expected.c_str(), name_of(j.verdict),
                j.found.c_str());
}

void write_report(const ExperimentFile& e, const ExperimentFolder& folder,
                  const std::vector<ExperimentPoint>& points,
                  const std::vector<Forecast>& forecasts) {
  std::vector<ResultRow> rows = folder.rows_of(points);
  if (rows.empty()) return;
  for (ResultRow& row : rows) {  // what today's profile says, also of older rows
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (points[i].fingerprint == row.fingerprint) row.predicted = forecasts[i].step;
    }
  }
  say_verdicts(e, summarize(rows, names_of(points)));
  const ReportFile report = write_experiment_report(folder.dir(), e, rows, names_of(points));
  std::printf("%s\n", report.path.c_str());
  if (report.without_plots) std::printf("%s\n", told(Drawn::no_gnuplot, "").c_str());
}

// Of some that failed; an error where there is nothing else.
void say_failures(const ExperimentRun& run, const ExperimentFolder& folder) {
  const std::vector<PlannedRun> all = runs_of(run.experiment, run.points.size());
  const auto num_failed = std::count_if(all.begin(), all.end(), [&](const PlannedRun& one) {
    return folder.failed(run.points[one.point], one.repetition);
  });
  if (num_failed == 0) return;
  const auto failed = static_cast<std::size_t>(num_failed);
  const char* what = run.experiment.launcher == "predict" ? "predictions" : "runs";
  const std::string text =
      format("%s%zu of %zu %s failed: what they said stands in %s; --retry-failed runs them again",
             failed == all.size() ? "no result: " : "", failed, all.size(), what,
             (folder.dir() + "/results.csv").c_str());
  if (failed == all.size()) throw SystemError(text);
  std::printf("%s\n", text.c_str());
}

// The same command again, inside the allocation, with srun.
int submit_as_one(const ExperimentRun& run, const ExperimentOptions& options) {
  const ExperimentFile& e = run.experiment;
  std::vector<std::string> words{
      run.launch.lockstep, "experiment", e.path, "--launcher", "srun", "--dir", e.dir};
  if (!e.machine.empty()) words.insert(words.end(), {"--machine", e.machine});
  for (const std::string& setting : options.overrides)
    words.insert(words.end(), {"--set", setting});
  return run_in_one_job(run, e.dir, words);
}

int experiment(const ExperimentOptions& options) {
  if (rank_from_launcher() != 0) return 0;
  if (options.help_keys) {
    std::fputs(experiment_reference().c_str(), stdout);
    return 0;
  }
  const ExperimentFile e = file_of(options);
  std::optional<Machine> machine;
  if (!e.machine.empty()) machine = find_machine(e.machine);
  const auto points = points_of(e, options.overrides);
  const auto forecasts = forecast(e, points, machine);
  if (options.plan) {
    std::fputs(forecast_text(e, points, forecasts, 0).c_str(), stdout);
    return 0;
  }
  expect_launcher(e);
  ExperimentFolder folder(e.dir, text_of(e.path));
  keep_job(e);
  const ExperimentRun run{
      .experiment = e,
      .points = points,
      .forecasts = forecasts,
      .launch = {e.launcher, launch_words(e), own_path(), ranks_per_node(e, machine)},
      .retry = options.retry,
      .bar = isatty(STDOUT_FILENO) == 1};
  const std::size_t finished = runs_of(e, points.size()).size() - missing_runs(run, folder).size();
  std::printf("%s: %s\n\n%s\n", e.name.c_str(), folder.dir().c_str(),
              forecast_text(e, points, forecasts, finished).c_str());
  if (e.launcher == "sbatch" && e.allocation == "one") return submit_as_one(run, options);
  const int status = e.launcher == "sbatch" ? run_as_jobs(run, folder) : run_missing(run, folder);
  write_report(e, folder, points, forecasts);
  say_failures(run, folder);
  return status;
}

}  // namespace

CommandAction prepare_experiment(CLI::App& app) {
  auto options = std::make_shared<ExperimentOptions>();
  app.add_option("file", options->file, "Experiment file (TOML)");
  app.add_option("--set", options->overrides, "Override a key of the job in all points")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--machine", options->machine,
                 "Profile that predicts the points: a file, or the name of a shipped one");
  app.add_option("--launcher", options->launcher, "What starts the ranks")
      ->check(CLI::IsMember({"mpirun", "srun", "sbatch", "predict"}));
  app.add_option("--dir", options->dir, "Where results go");
  app.add_flag("--plan", options->plan, "Only say what is predicted and what it costs");
  app.add_flag("--retry-failed", options->retry, "Run again what failed before");
  app.add_flag("--help-keys", options->help_keys, "Every key of an experiment file");
  return [options] { return experiment(*options); };
}

}  // namespace lockstep
