// SPDX-License-Identifier: Apache-2.0
// `lockstep report DIR`: report.html of a run or of an experiment, from what is in its directory.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "launch/command.hpp"
#include "launch/experiment/file.hpp"
#include "launch/experiment/points.hpp"
#include "launch/job.hpp"
#include "launch/report/experiment_report.hpp"
#include "launch/report/run_report.hpp"
#include "perfmodels/plot.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::string dir, machine;
};

// As the file has them; nothing where its job is not there any more.
std::vector<std::string> names_of_points(const ExperimentFile& e) {
  std::vector<std::string> names;
  try {
    for (const ExperimentPoint& point : points_of(e))
      names.push_back(point.name);
  } catch (const ConfigError&) {
    names.clear();
  }
  return names;
}

ReportFile report_of_experiment(const std::string& dir) {
  const std::vector<ResultRow> rows = load_results(dir + "/results.jsonl");
  if (rows.empty()) throw ConfigError(dir + "/results.jsonl has no results yet");
  ExperimentFile e = load_experiment(dir + "/experiment.toml");
  e.launcher = rows.back().launcher;
  if (e.machine.empty()) e.machine = rows.back().job.job.machine;
  return write_experiment_report(dir, e, rows, names_of_points(e));
}

int report(const ReportOptions& options) {
  if (rank_from_launcher() != 0) return 0;
  std::string dir = options.dir;
  while (dir.size() > 1 && dir.back() == '/')
    dir.pop_back();
  std::error_code ignored;
  const bool experiment = fs::exists(dir + "/results.jsonl", ignored);
  if (!experiment && !fs::exists(dir + "/metrics.jsonl", ignored)) {
    throw ConfigError(dir +
                      " holds neither a run (metrics.jsonl) nor an experiment (results.jsonl)");
  }
  const ReportFile file =
      experiment ? report_of_experiment(dir) : write_run_report(dir, options.machine);
  std::printf("%s\n", file.path.c_str());
  if (file.without_plots) std::printf("%s\n", told(Drawn::no_gnuplot, "").c_str());
  return 0;
}

}  // namespace

CommandAction prepare_report(CLI::App& app) {
  auto options = std::make_shared<ReportOptions>();
  app.add_option("dir", options->dir, "Directory of a run or of an experiment")->required();
  app.add_option("--machine", options->machine,
                 "Of a run: profile to compare with, otherwise job.machine");
  return [options] { return report(*options); };
}

}  // namespace lockstep
