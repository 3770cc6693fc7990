// SPDX-License-Identifier: Apache-2.0
// `lockstep predict JOB.toml --machine M`: what a step of the job takes on a machine, before it
// runs: seconds with their interval, where they go, memory, and what had to be guessed.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "launch/command.hpp"
#include "launch/job.hpp"
#include "launch/number_checks.hpp"
#include "launch/prediction.hpp"
#include "parallelism/pipeline/gantt.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/trace/trace.hpp"

namespace lockstep {

namespace {

struct PredictOptions {
  std::string file, machine, trace, gantt;
  std::vector<std::string> overrides;
  int ranks = 0;  // 0: not given
  bool json = false, shows_gantt = false;
};

constexpr int kGanttColumns = 150;

// To the file, or as text behind the table.
std::string gantt_of(const JobPrediction& p, const PredictOptions& options) {
  if (p.step.passes.empty()) throw ConfigError("--gantt needs a pipeline: parallel.pipeline >= 2");
  if (options.gantt.empty()) return "\n" + gantt_text(p.step.passes, kGanttColumns);
  write_file(options.gantt, gantt_svg(p.step.passes, p.model + " on " + p.machine));
  return "";
}

int predict(const PredictOptions& options) {
  if (rank_from_launcher() != 0) return 0;
  const Machine machine = find_machine(options.machine);
  const JobConfig job = load_job(options.file, options.overrides);
  const JobPrediction p = predict_job(job, machine, options.ranks);
  if (!options.trace.empty()) {
    write_file(options.trace, chrome_trace({trace_events(*p.step.timeline, 0, 0)}));
  }
  const std::string gantt = options.shows_gantt ? gantt_of(p, options) : "";
  std::fputs((options.json ? prediction_json(p) : prediction_table(p) + gantt).c_str(), stdout);
  return 0;
}

}  // namespace

CommandAction prepare_predict(CLI::App& app) {
  auto options = std::make_shared<PredictOptions>();
  app.add_option("job", options->file, "Job file (TOML)")->required();
  app.add_option("--machine", options->machine, "Profile: a file, or the name of a shipped one")
      ->required();
  app.add_option("--ranks", options->ranks, "Ranks of the job")->check(count_from(1));
  app.add_option("--set", options->overrides, "Override a key: section.key=value")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--trace", options->trace, "Write the predicted timeline to this file");
  app.add_flag("--json", options->json, "Write JSON");
  const auto* gantt =
      app.add_option("--gantt", options->gantt, "Draw the pipeline: to this SVG file, or as text")
          ->expected(0, 1);
  return [options, gantt] {
    options->shows_gantt = gantt->count() > 0;
    return predict(*options);
  };
}

}  // namespace lockstep
