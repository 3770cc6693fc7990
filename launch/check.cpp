// SPDX-License-Identifier: Apache-2.0
// `lockstep check JOB.toml`: run by the ranks of a job before it starts. Do they see what [slurm]
// asks for, the data and the run directory, and are all links between them as fast as most?
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "launch/build_facts.hpp"
#include "launch/command.hpp"
#include "launch/job.hpp"
#include "launch/number_checks.hpp"
#include "slurm/preflight/findings.hpp"
#include "slurm/request.hpp"

namespace lockstep {

namespace {

using slurm::Finding;
using slurm::Grade;

struct CheckArguments {
  std::string file;
  std::vector<std::string> overrides;
  double seconds = 5;
  bool json = false;
};

const char* name_of(Grade grade) {
  constexpr const char* kNames[] = {"ok", "warning", "problem"};
  return kNames[static_cast<int>(grade)];
}

void print_table(const std::vector<Finding>& findings) {
  for (const Finding& f : findings) {
    std::printf("%-8s %-14s %s\n", name_of(f.grade), f.what.c_str(), f.text.c_str());
    if (!f.remedy.empty()) std::printf("%-8s %-14s %s\n", "", "-> remedy", f.remedy.c_str());
  }
}

void print_json(const std::vector<Finding>& findings, const slurm::LinkRates& links) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Finding& f : findings) {
    list.push_back(
        {{"what", f.what}, {"grade", name_of(f.grade)}, {"text", f.text}, {"remedy", f.remedy}});
  }
  const nlohmann::ordered_json all = {{"findings", list},
                                      {"bytes_per_second", links.rates},
                                      {"between", links.of_nodes ? "nodes" : "ranks"}};
  std::printf("%s\n", all.dump(2).c_str());
}

// srun and an MPI library that do not understand each other start as many jobs of one rank.
void expect_one_world(const Context& context) {
  if (context.size() > 1 || size_from_launcher() == 1) return;
  throw ConfigError("every rank is alone: the launcher started " +
                    std::to_string(size_from_launcher()) +
                    ", and MPI sees one; use the type of srun --mpi=list that the MPI library "
                    "speaks (slurm.mpi), "
                    "or slurm.launcher = \"mpirun\"");
}

int check(const Context& context, const CheckArguments& arguments, const JobConfig& job) {
  expect_one_world(context);
  const BuildFacts build = build_facts();
  const std::string software =
      "lockstep " + build.version + " (" + build.compiler + ", " + build.march + ")";
  const auto facts = slurm::collect_facts(context, job, slurm::run_directory_of(job), software);
  const slurm::LinkRates links = slurm::measure_links(context, arguments.seconds);
  bool stops = false;
  if (context.first()) {
    std::vector<Finding> findings = slurm::judge_facts(job, facts);
    for (Finding& f : slurm::judge_links(links, slurm::link_names(links, facts)))
      findings.push_back(std::move(f));
    arguments.json ? print_json(findings, links) : print_table(findings);
    std::fflush(stdout);
    stops = std::any_of(findings.begin(), findings.end(),
                        [](const Finding& f) { return f.grade == Grade::problem; });
  }
  return context.broadcast(stops ? "stop" : "") == "stop" ? kFailure : 0;
}

int run_check(const CheckArguments& arguments) {
  return run_job([&](const Context& context) {
    JobConfig job;
    context.together([&] {
      if (arguments.file.empty()) {
        throw ConfigError("check needs a job file: lockstep check JOB.toml");
      }
      job = load_job(arguments.file, arguments.overrides);
      slurm::check_request(job);
    });
    return check(context, arguments, job);
  });
}

}  // namespace

CommandAction prepare_check(CLI::App& app) {
  auto arguments = std::make_shared<CheckArguments>();
  app.add_option("job", arguments->file, "Job file (TOML)");
  app.add_option("--set", arguments->overrides, "Override a key: section.key=value")
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--seconds", arguments->seconds, "For the links between all pairs (5)")
      ->check(positive());
  app.add_flag("--json", arguments->json, "Write JSON");
  return [arguments] { return run_check(*arguments); };
}

}  // namespace lockstep
