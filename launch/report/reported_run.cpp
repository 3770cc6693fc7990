// SPDX-License-Identifier: Apache-2.0
#include "launch/report/reported_run.hpp"

#include <filesystem>

#include "perfmodels/machine/find_machine.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

void predict(ReportedRun& run, const std::string& machine) {
  const std::string& name = machine.empty() ? run.job.job.machine : machine;
  run.why_not = "no machine profile was given (job.machine, or --machine)";
  if (name.empty()) return;
  try {
    run.predicted = predict_job(as_run(run.job, run.facts), find_machine(name), run.facts.ranks);
  } catch (const ConfigError& error) {
    run.why_not = error.what();
  }
}

}  // namespace

ReportedRun load_reported_run(const std::string& dir, const std::string& machine) {
  constexpr int kWarmUp = 2;
  ReportedRun run{.dir = dir};
  run.job = load_job(dir + "/job.toml");
  run.log = load_run_log(dir);
  run.facts = load_run_facts(dir);
  if (std::filesystem::exists(dir + "/trace.json")) run.trace = load_trace(dir + "/trace.json");
  if (run.facts.ranks == 0 && run.trace) run.facts.ranks = run.trace->ranks;
  run.measured = measure_run(dir, kWarmUp);
  predict(run, machine);
  return run;
}

}  // namespace lockstep
