// SPDX-License-Identifier: Apache-2.0
// In place of collectives/mpi_requests.cpp: simulated time stands still while a rank polls, so it
// waits inside MPI. A deadlock is found by the simulator, which names every rank.
#include "collectives/mpi_requests.hpp"

namespace lockstep {

int tag_of(std::uint64_t fingerprint) {
  constexpr std::uint64_t kTags = 32749;
  return static_cast<int>(fingerprint % kTags);
}

bool wait_all(std::span<MPI_Request> requests, std::vector<MPI_Status>& statuses, const Deadline&,
              Crowding) {
  statuses.resize(requests.size());
  check_mpi(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), statuses.data()));
  return true;
}

}  // namespace lockstep
