// SPDX-License-Identifier: Apache-2.0
// How a subcommand runs as a rank of a job, and how a job ends when something goes wrong: every
// rank ends, the message appears once, the status is not zero.
//
//   2  the user can fix it: command line, job file, data
//   1  anything else
#pragma once

#include <exception>
#include <functional>

#include "runtime/context/context.hpp"

namespace lockstep {

inline constexpr int kUserError = 2;
inline constexpr int kFailure = 1;

// Starts MPI and logging, runs `body`, ends MPI. What `body` throws ends the job: in order when all
// ranks fail alike, by MPI_Abort when the others are still at work, and at once by MPI_Abort after
// a verdict of the flight recorder, which one rank says for all.
int run_job(const std::function<int(const Context&)>& body);

// For a batch script, since some launchers return 0 for ranks that never ran: an empty file, if the
// environment variable names one. run_job leaves LOCKSTEP_STARTED.
void leave_mark(const char* variable);

// Says `error` on stderr (not a ReportedError) and returns the exit status that goes with it.
int report(const std::exception_ptr& error);

// Our rank as the launcher tells it, before MPI is started; 0 without a launcher.
int rank_from_launcher();
int size_from_launcher();   // ranks of the job; 1 without a launcher
bool launched_by_others();  // mpirun or srun started us

}  // namespace lockstep
