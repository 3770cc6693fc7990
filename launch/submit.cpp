// SPDX-License-Identifier: Apache-2.0
// `lockstep submit JOB.toml`: writes the batch script of a job beside its run, has Slurm check it,
// and submits it. What it asks for stands in [slurm] of the job and of site.toml.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "launch/command.hpp"
#include "launch/first_look.hpp"
#include "launch/run_directory.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/process.hpp"
#include "runtime/context/mpi.hpp"
#include "runtime/logging/logging.hpp"
#include "slurm/request.hpp"
#include "slurm/shell.hpp"
#include "slurm/site.hpp"
#include "slurm/submission.hpp"

namespace lockstep {

namespace {

struct SubmitArguments {
  std::string file, site;
  std::vector<std::string> overrides;
  bool dry_run = false, resume = false, json = false;
};

JobConfig load(const SubmitArguments& arguments) {
  const std::string site = slurm::find_site(arguments.site, arguments.file);
  const JobConfig defaults = site.empty() ? JobConfig{} : load_job(site);
  return load_job(arguments.file, arguments.overrides, defaults);
}

std::string count(int n, const char* noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

struct Submitted {
  const slurm::ScriptInputs& in;
  const slurm::Submission& made;
  double bytes_per_rank;  // 0: not known
};

void print(const Submitted& submitted) {
  const auto& [in, made, bytes] = submitted;
  const SlurmSection& s = in.job.slurm;
  const auto line = [](const char* name, const std::string& text) {
    std::printf("  %-9s%s\n", name, text.c_str());
  };
  std::printf("%s: %s on %s%s\n",
              made.job_id.empty() ? "not submitted" : ("job " + made.job_id).c_str(),
              in.job.job.name.c_str(), count(s.nodes, "node").c_str(),
              (" of " + count(s.ranks_per_node, "rank")).c_str());
  if (bytes > 0) line("memory", format("%.0f MB of tensors on a rank", 1e-6 * bytes));
  line("script", made.script);
  if (made.job_id.empty()) return line("submit", "sbatch " + slurm::shell_word(made.script));
  line("follow", "squeue -j " + made.job_id + "; tail -F " + slurm::shell_word(made.output));
  line("record", in.run_dir + "/" + slurm::kRestarts);
  line("stop", "scancel " + made.job_id);
}

void print_json(const Submitted& submitted) {
  const auto& [in, made, bytes] = submitted;
  const nlohmann::ordered_json facts = {
      {"job_id", made.job_id},
      {"run_dir", in.run_dir},
      {"script", made.script},
      {"output", made.output},
      {"memory_bytes_per_rank", static_cast<std::int64_t>(bytes)}};
  std::printf("%s\n", facts.dump(2).c_str());
}

int submit(const SubmitArguments& arguments) {
  if (arguments.file.empty())
    throw ConfigError("submit needs a job file: lockstep submit JOB.toml");
  const auto in =
      slurm::inputs_of(load(arguments), own_path(), std::filesystem::current_path(), mpi_library());
  if (arguments.resume) expect_goes_on(in.run_dir);
  const FirstLook look = look_at(in.job);
  const slurm::Submission made = slurm::submit(
      in, {.action = arguments.dry_run ? slurm::Action::write : slurm::Action::submit,
           .existing = arguments.resume ? slurm::Existing::go_on : slurm::Existing::refuse});
  for (const std::string& warning : look.warnings)
    log_warning(warning);
  const Submitted submitted{in, made, look.bytes_per_rank};
  arguments.json ? print_json(submitted) : print(submitted);
  return 0;
}

}  // namespace

CommandAction prepare_submit(CLI::App& app) {
  auto arguments = std::make_shared<SubmitArguments>();
  app.add_option("job", arguments->file, "Job file (TOML)");
  app.add_option("--set", arguments->overrides, "Override a key: section.key=value")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--site", arguments->site, "Defaults of the cluster (site.toml)");
  app.add_flag("--dry-run", arguments->dry_run, "Write the script; do not submit it");
  app.add_flag("--resume", arguments->resume, "Continue the run that the directory holds");
  app.add_flag("--json", arguments->json, "Write JSON");
  return [arguments] { return submit(*arguments); };
}

}  // namespace lockstep
