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
#include "launch/prediction.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "runtime/base/file.hpp"
#include "runtime/trace/trace.hpp"

namespace lockstep {

namespace {

struct PredictOptions {
  std::string file, machine, trace;
  std::vector<std::string> overrides;
  int ranks = 0;  // 0: not given
  bool json = false;
};

int predict(const PredictOptions& options) {
  if (rank_from_launcher() != 0) return 0;
  const Machine machine = find_machine(options.machine);
  const JobConfig job = load_job(options.file, options.overrides);
  const JobPrediction p = predict_job(job, machine, options.ranks);
  if (!options.trace.empty()) {
    write_file(options.trace, chrome_trace({trace_events(*p.step.timeline, 0, 0)}));
  }
  std::fputs((options.json ? prediction_json(p) : prediction_table(p)).c_str(), stdout);
  return 0;
}

}  // namespace

CommandAction prepare_predict(CLI::App& app) {
  auto options = std::make_shared<PredictOptions>();
  app.add_option("job", options->file, "Job file (TOML)")->required();
  app.add_option("--machine", options->machine, "Profile: a file, or the name of a shipped one")
      ->required();
  app.add_option("--ranks", options->ranks, "Ranks of the job")->check(CLI::PositiveNumber);
  app.add_option("--set", options->overrides, "Override a key: section.key=value")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--trace", options->trace, "Write the predicted timeline to this file");
  app.add_flag("--json", options->json, "Write JSON");
  return [options] { return predict(*options); };
}

}  // namespace lockstep
