// SPDX-License-Identifier: Apache-2.0
// Waiting for MPI requests by polling, so that waiting never holds the core. All requests of one
// wait are completed together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collectives/backoff.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

// Messages of operations that differ have different tags, so that they do not match.
int tag_of(std::uint64_t fingerprint);

// True when all are complete, with their statuses; false when the deadline passed first: the
// requests then stay open. Failures of MPI throw SystemError.
bool wait_all(std::span<MPI_Request> requests, std::vector<MPI_Status>& statuses,
              const Deadline& deadline, Crowding crowding = Crowding::far);

}  // namespace lockstep
