// SPDX-License-Identifier: Apache-2.0
#include "collectives/mpi_requests.hpp"

namespace lockstep {

namespace {

void check_each(int code, const std::vector<MPI_Status>& statuses) {
  if (code == MPI_ERR_IN_STATUS) {
    for (const MPI_Status& status : statuses) {
      if (status.MPI_ERROR != MPI_ERR_PENDING) check_mpi(status.MPI_ERROR);
    }
  }
  check_mpi(code);
}

}  // namespace

int tag_of(std::uint64_t fingerprint) {
  constexpr std::uint64_t kTags = 32749;  // every MPI has tags up to 32767; the largest prime below
  return static_cast<int>(fingerprint % kTags);
}

bool wait_all(std::span<MPI_Request> requests, std::vector<MPI_Status>& statuses,
              const Deadline& deadline, Crowding crowding) {
  statuses.resize(requests.size());
  Backoff backoff(deadline, crowding);
  for (;;) {
    int done = 0;
    check_each(
        MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, statuses.data()),
        statuses);
    if (done) return true;
    if (!backoff.pause()) return false;
  }
}

}  // namespace lockstep
