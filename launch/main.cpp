// SPDX-License-Identifier: Apache-2.0
// The `lockstep` executable: picks the subcommand and says what went wrong.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>

#include "launch/build_facts.hpp"
#include "launch/command.hpp"
#include "launch/job.hpp"

namespace lockstep {
namespace {

constexpr Command kCommands[] = {
    {"train", "Trains a model as a job file says", prepare_train},
    {"bench", "Times collectives: every candidate, size by size", prepare_bench},
    {"calibrate", "Measures this machine or allocation: writes a machine profile",
     prepare_calibrate},
    {"explain", "What a collective is expected to cost, who serves it, and why", prepare_explain},
    {"predict", "What a step of a job takes on a machine, and where it goes", prepare_predict},
    {"validate", "Predicted against measured, operation by operation, for a trace",
     prepare_validate},
    {"plan", "The best layouts of a job on so many ranks", prepare_plan},
    {"scaling", "How a job scales to more ranks, predicted, and the laws of it", prepare_scaling},
    {"roofline", "A step's kernels against what a machine can attain", prepare_roofline},
    {"export", "Writes a step for other simulators: Chakra execution traces", prepare_export},
    {"checkpoint", "Looks into checkpoints, checks, converts and compares them",
     prepare_checkpoint},
    {"check", "Before a job starts: do its ranks see what was asked for?", prepare_check},
    {"submit", "Submits a job to Slurm: writes its script, has it checked", prepare_submit},
    {"experiment", "A scaling study or a comparison: predicts, runs, compares, reports",
     prepare_experiment},
    {"report", "An HTML page about a run or an experiment", prepare_report},
    {"info", "What was built in and what this node has", prepare_info},
};

// Throws unless the first word, if it is one, is a subcommand: CLI11 would only say that one is
// missing.
void check_name(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  const std::string word = argv[1];
  std::string known;
  for (const Command& command : kCommands) {
    if (word == command.name) return;
    known += std::string(known.empty() ? "" : ", ") + command.name;
  }
  throw CLI::ExtrasError("no subcommand is called '" + word + "'; there are: " + known,
                         CLI::ExitCodes::ExtrasError);
}

// --help and --version go to stdout, from the first of many ranks; mistakes as one line to stderr.
// A launcher ends all ranks when one fails, so ranks agree on who says it, as on other mistakes.
int end_parse(const CLI::App& app, const CLI::ParseError& e, const std::string& command) {
  if (e.get_exit_code() == 0) {
    std::ostringstream out, ignored;
    app.exit(e, out, ignored);
    if (rank_from_launcher() == 0) std::cout << out.str();
    return 0;
  }
  const ConfigError mistake(std::string(e.what()) + " (see lockstep " + command + "--help)");
  if (!launched_by_others()) throw mistake;
  return run_job([&](const Context&) -> int { throw mistake; });
}

// What was printed may still wait in a buffer, and a full disk is only seen when it leaves.
int with_output_written(int status) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
  std::fprintf(stderr, "lockstep: cannot write all of the output: %s\n", std::strerror(errno));
  return status == 0 ? kFailure : status;
}

int run(int argc, char** argv) {
  CLI::App app{"Lockstep: distributed training that predicts its own speed", "lockstep"};
  app.set_version_flag("--version", "lockstep " + build_facts().version);
  app.require_subcommand(1);

  CommandAction chosen;
  std::string word;  // the subcommand that was named, once it is known to be one
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->final_callback([&chosen, run = command.prepare(*sub)] { chosen = run; });
  }
  try {
    check_name(argc, argv);
    if (argc > 1 && argv[1][0] != '-') word = std::string(argv[1]) + " ";
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return end_parse(app, e, word);
  }
  return chosen();
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  try {
    return lockstep::with_output_written(lockstep::run(argc, argv));
  } catch (...) {
    return lockstep::report(std::current_exception());
  }
}
