// SPDX-License-Identifier: Apache-2.0
// Runs a program of Slurm without a shell, with a deadline, and keeps what it says.
#pragma once

#include <string>
#include <vector>

namespace lockstep::slurm {

struct CommandResult {
  int status = 0;  // 128 + signal if one ended it
  std::string out, error;
};

// argv[0] is looked for in PATH; standard input is empty. SystemError if it cannot be started
// or, after being killed, if it has not ended by the deadline.
CommandResult run_command(const std::vector<std::string>& argv, double timeout_seconds = 60);

// What went wrong in one line: "sbatch: error: " and the like taken off, lines joined.
std::string one_line(const std::string& text);

}  // namespace lockstep::slurm
