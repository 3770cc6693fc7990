// SPDX-License-Identifier: Apache-2.0
// `lockstep train JOB.toml`: trains, or with job.device = "dry" records one step and counts it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "collectives/algorithms/table.hpp"
#include "collectives/compression/table.hpp"
#include "launch/command.hpp"
#include "launch/dry_report.hpp"
#include "launch/first_look.hpp"
#include "launch/job.hpp"
#include "launch/number_checks.hpp"
#include "launch/prediction.hpp"
#include "launch/supervise.hpp"
#include "launch/training_run.hpp"
#include "models/registry.hpp"
#include "parallelism/pipeline/table.hpp"
#include "runtime/config/keys.hpp"
#include "runtime/logging/logging.hpp"
#include "runtime/optim/table.hpp"

namespace lockstep {

namespace {

struct TrainOptions {
  std::string file, machine;
  std::vector<std::string> overrides;
  std::string progress = "auto";
  bool json = false, help_keys = false, resume = false;
  int ranks = 0, restarts = 0, least_ranks = 0;  // 0 ranks: those that the launcher started, or one
  std::string launcher = "mpirun -np {ranks}";
};

// mpirun gives ranks a terminal of their own even when its output goes to a file.
bool wants_bar(const TrainOptions& options) {
  if (options.progress != "auto") return options.progress == "on";
  return isatty(STDOUT_FILENO) && !launched_by_others();
}

int record_dry(JobConfig job, const TrainOptions& options) {
  if (rank_from_launcher() != 0) return 0;
  job.model.vocabulary = vocabulary_of(job);
  const auto& p = job.parallel;
  const bool given = p.data > 0 && !launched_by_others();  // else the launcher's ranks
  const int ranks = given ? p.data * p.tensor * p.pipeline : size_from_launcher();
  const auto record = record_step(job, ranks);
  const std::string text = options.json ? dry_json(job, *record) : dry_table(job, *record);
  std::fputs(text.c_str(), stdout);
  return 0;
}

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

// What the keys of text may be that tables above the job file know.
std::vector<KeyNames> names_of_tables() {
  std::set<std::string> models, optimizers, compressed, algorithm;
  for (const std::string& kind : model_kinds())
    models.insert(kind);
  for (const OptimizerKind* kind : optimizer_kinds())
    optimizers.insert(kind->name);
  for (const CompressionMethod* method : compressions())
    compressed.insert(method->name);
  for (const Algorithm* a : algorithms())
    algorithm.insert(std::string(a->name()));
  return {{"model.kind", joined(models)},
          {"optimizer.kind", joined(optimizers)},
          {"parallel.schedule", schedule_names()},
          {"collectives.compression", joined(compressed)},
          {"collectives.algorithm", joined(algorithm)}};
}

bool starts_ranks(const TrainOptions& options) {
  const bool wanted = options.ranks > 0 || options.restarts > 0;
  if (wanted && launched_by_others()) {
    throw ConfigError(
        "--ranks and --restarts start the ranks, but a launcher has done so: leave mpirun or srun "
        "away, or these options");
  }
  return wanted;
}

int start_ranks(const JobConfig& job, const TrainOptions& options) {
  std::vector<std::string> arguments = {"train", options.file, "--progress", options.progress};
  for (const std::string& set : options.overrides)
    arguments.insert(arguments.end(), {"--set", set});
  if (!options.machine.empty()) arguments.insert(arguments.end(), {"--machine", options.machine});
  return supervise(job, {.arguments = arguments,
                         .resume = options.resume,
                         .ranks = std::max(options.ranks, 1),
                         .restarts = options.restarts,
                         .least_ranks = options.least_ranks,
                         .launcher = options.ranks > 0 ? options.launcher : ""});
}

int train(const TrainOptions& options) {
  if (options.help_keys) {
    if (rank_from_launcher() == 0) std::fputs(key_reference(names_of_tables()).c_str(), stdout);
    return 0;
  }
  JobConfig job;
  std::exception_ptr mistake;  // said by run_job, once for all ranks
  try {
    if (options.file.empty()) throw ConfigError("train needs a job file: lockstep train JOB.toml");
    job = load_job(options.file, options.overrides);
    if (!options.machine.empty()) job.job.machine = options.machine;
    if (job.job.device != "dry") expect_trainable(job);
  } catch (const ConfigError&) {
    mistake = std::current_exception();
  }
  const bool dry = job.job.device == "dry";
  if (!mistake && !dry && starts_ranks(options)) return start_ranks(job, options);
  if (options.json && !dry && !mistake && rank_from_launcher() == 0) {
    log_warning("--json is for job.device = \"dry\"; a run's numbers are in its metrics.jsonl");
  }
  if (!mistake && dry) return record_dry(job, options);
  return run_job([&](const Context& context) {
    context.together([&] {
      if (mistake) std::rethrow_exception(mistake);
    });
    const RunOptions how{.progress_bar = context.first() && wants_bar(options),
                         .resume = options.resume};
    const int status = TrainingRun(context, job, how).run();
    if (status == 0 && context.first()) leave_mark("LOCKSTEP_FINISHED");
    return status;
  });
}

}  // namespace

CommandAction prepare_train(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  app.add_option("job", options->file, "Job file (TOML)");
  app.add_option("--set", options->overrides, "Override a key: section.key=value")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--machine", options->machine,
                 "Profile that predicts the steps: a file, or the name of a shipped one");
  app.add_option("--progress", options->progress, "Progress bar: auto, on, off")
      ->check(CLI::IsMember({"auto", "on", "off"}));
  app.add_option("--ranks", options->ranks, "Start so many ranks, by --launcher")
      ->check(count_from(1));
  app.add_option("--restarts", options->restarts,
                 "When ranks fail, start again from the last checkpoint, so many times")
      ->check(count_from(0));
  app.add_option(
         "--least-ranks", options->least_ranks,
         "A restart that comes no farther is followed by one on fewer ranks, at least so many")
      ->check(count_from(1));
  app.add_option("--launcher", options->launcher, "What starts ranks")->capture_default_str();
  app.add_flag("--resume", options->resume,
               "Go on in the run directory, from its last complete checkpoint if it has one");
  app.add_flag("--json", options->json, "With job.device = \"dry\": write JSON");
  app.add_flag("--help-keys", options->help_keys, "Every key of a job file, with its default");
  return [options] { return train(*options); };
}

}  // namespace lockstep
