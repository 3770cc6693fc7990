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
#include "parallelism/mesh/degrees.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/process.hpp"
#include "runtime/context/mpi.hpp"
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
  JobConfig job = load_job(arguments.file, arguments.overrides, defaults);
  // A layout that does not fit would otherwise be found when the nodes are there.
  const auto& p = job.parallel;
  resolve(MeshDegrees{p.data, p.tensor, p.pipeline}, slurm::ranks_of(job.slurm));
  return job;
}

std::string count(int n, const char* noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

void print(const slurm::ScriptInputs& in, const slurm::Submission& made) {
  const SlurmSection& s = in.job.slurm;
  const auto line = [](const char* name, const std::string& text) {
    std::printf("  %-9s%s\n", name, text.c_str());
  };
  std::printf("%s: %s on %s%s\n",
              made.job_id.empty() ? "not submitted" : ("job " + made.job_id).c_str(),
              in.job.job.name.c_str(), count(s.nodes, "node").c_str(),
              (" of " + count(s.ranks_per_node, "rank")).c_str());
  line("script", made.script);
  if (made.job_id.empty()) return line("submit", "sbatch " + slurm::shell_word(made.script));
  line("follow", "squeue -j " + made.job_id + "; tail -F " + slurm::shell_word(made.output));
  line("record", in.run_dir + "/" + slurm::kRestarts);
  line("stop", "scancel " + made.job_id);
}

void print_json(const slurm::ScriptInputs& in, const slurm::Submission& made) {
  const nlohmann::ordered_json facts = {{"job_id", made.job_id},
                                        {"run_dir", in.run_dir},
                                        {"script", made.script},
                                        {"output", made.output}};
  std::printf("%s\n", facts.dump(2).c_str());
}

int submit(const SubmitArguments& arguments) {
  if (arguments.file.empty())
    throw ConfigError("submit needs a job file: lockstep submit JOB.toml");
  const auto in =
      slurm::inputs_of(load(arguments), own_path(), std::filesystem::current_path(), mpi_library());
  const slurm::Submission made = slurm::submit(
      in, {.action = arguments.dry_run ? slurm::Action::write : slurm::Action::submit,
           .existing = arguments.resume ? slurm::Existing::go_on : slurm::Existing::refuse});
  arguments.json ? print_json(in, made) : print(in, made);
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
