// SPDX-License-Identifier: Apache-2.0
// Waiting for MPI requests by polling, so that waiting never holds the core. All requests of one
// wait are completed together.
#pragma once

#include <vector>

#include "runtime/context/mpi.hpp"

namespace lockstep {

// True when all are complete, with their statuses; false when the deadline passed first: the
// requests then stay open. Failures of MPI throw SystemError.
bool wait_all(std::vector<MPI_Request>& requests, std::vector<MPI_Status>& statuses,
              double timeout_seconds);

}  // namespace lockstep
