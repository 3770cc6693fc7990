// SPDX-License-Identifier: Apache-2.0
#include "launch/prediction_options.hpp"

#include <cstdio>

#include <CLI/CLI.hpp>

#include "launch/job.hpp"
#include "launch/number_checks.hpp"
#include "launch/prediction.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/machine/threads.hpp"

namespace lockstep {

void add_job_options(CLI::App& app, PredictionOptions& options) {
  app.add_option("job", options.file, "Job file (TOML)")->required();
  app.add_option("--set", options.overrides, "Override a key: section.key=value")
      ->allow_extra_args(false)
      ->take_all();
}

void add_machine_option(CLI::App& app, PredictionOptions& options) {
  app.add_option("--machine", options.machine,
                 "Machine profile: a file, or a shipped one (a100, h100, cpu)")
      ->required();
}

void add_ranks_option(CLI::App& app, PredictionOptions& options) {
  app.add_option("--ranks", options.ranks, "Ranks of the job")->check(count_from(1));
}

void add_json_option(CLI::App& app, PredictionOptions& options) {
  app.add_flag("--json", options.json, "Write JSON");
}

JobConfig job_of(const PredictionOptions& options) {
  JobConfig job = load_job(options.file, options.overrides);
  job.model.vocabulary = vocabulary_of(job);
  return job;
}

Machine machine_of(const PredictionOptions& options, const JobConfig& job) {
  return with_threads(find_machine(options.machine), static_cast<int>(job.job.threads));
}

void print_once(const std::string& text) {
  if (rank_from_launcher() == 0) std::fputs(text.c_str(), stdout);
}

}  // namespace lockstep
