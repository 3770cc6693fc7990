// SPDX-License-Identifier: Apache-2.0
// What a process knows of itself, and what is the same wherever it starts a child.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace lockstep {

// This executable.
std::string own_path();

// The machine that it runs on, "?" if that has no name.
std::string host_name();

// Where PATH has the command; empty: nowhere.
std::string find_command(const std::string& name);

// As execvp and posix_spawn take them; they live as long as `words`.
std::vector<char*> exec_words(const std::vector<std::string>& words);

// In a child, between fork and exec: it ends when `parent` does, and no signal is held back.
void follow_parent(pid_t parent);

// Of what waitpid says, as a shell has it: 128 + n if signal n ended the child.
int shell_status(int status);

// Open MPI's mpirun refuses to start ranks for root unless its variables say so: sets them for
// root, as launch/quickstart does, where they are not set.
void let_root_start_ranks();

}  // namespace lockstep
