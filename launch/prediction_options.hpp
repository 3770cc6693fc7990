// SPDX-License-Identifier: Apache-2.0
// What the subcommands that predict have in common: JOB.toml --machine M --ranks N --set --json.
#pragma once

#include <string>
#include <vector>

#include "perfmodels/machine/machine.hpp"
#include "runtime/config/job_config.hpp"

namespace CLI {
class App;
}

namespace lockstep {

struct PredictionOptions {
  std::string file, machine;
  std::vector<std::string> overrides;
  int ranks = 0;  // 0: not given
  bool json = false;
};

void add_job_options(CLI::App& app, PredictionOptions& options);  // JOB.toml --set
void add_machine_option(CLI::App& app, PredictionOptions& options);
void add_ranks_option(CLI::App& app, PredictionOptions& options);
void add_json_option(CLI::App& app, PredictionOptions& options);

// The job with its vocabulary, which only its data may know.
JobConfig job_of(const PredictionOptions& options);
// Its ranks with the threads of the job.
Machine machine_of(const PredictionOptions& options, const JobConfig& job);

// To stdout; of the first rank if mpirun started several.
void print_once(const std::string& text);

}  // namespace lockstep
