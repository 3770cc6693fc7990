// SPDX-License-Identifier: Apache-2.0
// `lockstep validate TRACE|RUN_DIR --machine M`: what the profile predicts against what a run
// measured, operation by operation.
#include "perfmodels/validate/validate.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "launch/command.hpp"
#include "launch/experiment/measure.hpp"
#include "launch/job.hpp"
#include "launch/number_checks.hpp"
#include "launch/prediction.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/machine/threads.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kKinds[] = {"gemm", "attention", "streaming", "collective"};

struct ValidateOptions {
  std::string measured, machine, job;
  int rows = 20;
  bool json = false;
};

struct Report {
  std::string trace, machine;
  Validation validation;
  double predicted_step = 0;  // seconds; 0: the job is not known
};

std::string row_text(const ValidatedOperation& row) {
  return format("%-52s %5d %12.1f %12.1f %+8.1f %% %6.1f %%%s\n", text_of(row.operation).c_str(),
                row.launches, 1e6 * row.measured, 1e6 * row.predicted, 100 * row.error(),
                100 * row.noise, row.in_range ? "" : "  guessed");
}

std::string summary_row(const char* name, const ErrorSummary& s) {
  if (s.n == 0) return "";
  return format("%-24s %5zu %8.1f %% %8.1f %% %8.1f %% %8.1f %% %+8.1f %%\n", name, s.n,
                100 * s.mean, 100 * s.median, 100 * s.p95, 100 * s.maximum, 100 * s.signed_median);
}

std::string table_of(const Report& r, int shown) {
  const Validation& v = r.validation;
  std::string text =
      format("%s against %s\n\n%-52s %5s %12s %12s %10s %8s\n", r.trace.c_str(), r.machine.c_str(),
             "operation", "n", "measured us", "predicted us", "error", "noise");
  const auto count = std::min(v.rows.size(), static_cast<std::size_t>(shown));
  for (std::size_t i = 0; i < count; ++i)
    text += row_text(v.rows[i]);
  if (count < v.rows.size()) text += format("and %zu more (--rows)\n", v.rows.size() - count);
  text += format("\n%-24s %5s %10s %10s %10s %10s %10s\n", "absolute error", "n", "mean", "median",
                 "p95", "maximum", "signed");
  text += summary_row("predicted", v.all);
  for (int kind = 0; kind < 4; ++kind)
    text += summary_row((std::string("  ") + kKinds[kind]).c_str(), v.by_kind[kind]);
  text += summary_row("constant MFU", v.constant_mfu) + summary_row("nearest measured", v.nearest) +
          summary_row("closed formula", v.formula);
  text += format("noise of the run         %.1f %% (half of the middle half of the launches)\n",
                 100 * v.noise_floor);
  text += format("most to blame            %s: %+.2f ms per step and rank\n",
                 kKinds[static_cast<int>(v.blamed)], 1e3 * v.blamed_seconds);
  text += format(
      "waiting                  %.2f ms per step and rank, in collectives for the last one\n",
      1e3 * v.waited);
  if (r.predicted_step > 0) {
    text += format("step                     measured %.2f ms, predicted %.2f ms (%+.1f %%)\n",
                   1e3 * v.measured_step, 1e3 * r.predicted_step,
                   100 * (r.predicted_step / v.measured_step - 1));
  }
  return text;
}

Json json_of(const ErrorSummary& s) {
  return {{"n", s.n},     {"mean", s.mean},       {"median", s.median},
          {"p95", s.p95}, {"maximum", s.maximum}, {"signed_median", s.signed_median}};
}

std::string json_of(const Report& r) {
  const Validation& v = r.validation;
  Json rows = Json::array(), kinds = Json::object();
  for (const ValidatedOperation& row : v.rows) {
    rows.push_back({{"operation", text_of(row.operation)},
                    {"kind", kKinds[static_cast<int>(row.operation.kind)]},
                    {"launches", row.launches},
                    {"measured_seconds", row.measured},
                    {"predicted_seconds", row.predicted},
                    {"error", row.error()},
                    {"noise", row.noise},
                    {"in_range", row.in_range}});
  }
  for (int kind = 0; kind < 4; ++kind)
    kinds[kKinds[kind]] = json_of(v.by_kind[kind]);
  const Json all = {
      {"trace", r.trace},
      {"machine", r.machine},
      {"errors", json_of(v.all)},
      {"errors_by_kind", kinds},
      {"baselines",
       {{"constant_mfu", json_of(v.constant_mfu)},
        {"nearest_measured", json_of(v.nearest)},
        {"closed_formula", json_of(v.formula)}}},
      {"noise_floor", v.noise_floor},
      {"blamed", kKinds[static_cast<int>(v.blamed)]},
      {"blamed_seconds", v.blamed_seconds},
      {"waiting_seconds", v.waited},
      {"measured_step_seconds", v.measured_step},
      {"predicted_step_seconds", r.predicted_step > 0 ? Json(r.predicted_step) : Json(nullptr)},
      {"operations", rows}};
  return all.dump(2) + "\n";
}

// The job file that stands beside the trace, if there is one.
std::string job_beside(const fs::path& trace) {
  const fs::path job = trace.parent_path() / "job.toml";
  std::error_code failed;
  return fs::is_regular_file(job, failed) ? job.string() : "";
}

int run_validate(const ValidateOptions& options) {
  if (rank_from_launcher() != 0) return 0;
  Machine machine = find_machine(options.machine);
  std::error_code failed;
  fs::path path = options.measured;
  if (fs::is_directory(path, failed)) path /= "trace.json";
  const MeasuredTrace trace = load_trace(path.string());
  Report report{path.string(), machine.name, {}};
  const std::string job_file = options.job.empty() ? job_beside(path) : options.job;
  if (!job_file.empty()) {
    const RunFacts facts = load_run_facts(path.parent_path().string());
    JobConfig job = as_run(load_job(job_file, {"job.machine="}), facts);
    job.model.vocabulary = vocabulary_of(job);
    machine = with_threads(std::move(machine), static_cast<int>(job.job.threads));
    expect_same_job(trace, *record_step(job, trace.ranks, machine), report.trace);
    report.predicted_step = predict_job(job, machine, trace.ranks).step.seconds;
  }
  report.validation = validate(trace, machine);
  std::fputs((options.json ? json_of(report) : table_of(report, options.rows)).c_str(), stdout);
  return 0;
}

}  // namespace

CommandAction prepare_validate(CLI::App& app) {
  auto options = std::make_shared<ValidateOptions>();
  app.add_option("measured", options->measured,
                 "A run directory with trace.json (job.trace_steps), or a trace")
      ->required();
  app.add_option("--machine", options->machine, "Profile: a file, or the name of a shipped one")
      ->required();
  app.add_option("--job", options->job, "Job file of the trace; otherwise the job.toml beside it");
  app.add_option("--rows", options->rows, "Operations to show")->check(count_from(1));
  app.add_flag("--json", options->json, "Write JSON");
  return [options] { return run_validate(*options); };
}

}  // namespace lockstep
