// SPDX-License-Identifier: Apache-2.0
#include "slurm/preflight/clocks.hpp"

#include <ctime>
#include <limits>

#include "runtime/base/error.hpp"

namespace lockstep::slurm {

namespace {

constexpr int kRoundTrips = 10;
constexpr int kTag = 1;

double wall_clock() {
  timespec t{};
  if (clock_gettime(CLOCK_REALTIME, &t) != 0) throw_errno("clock_gettime");
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Rank 0's side for one other rank.
void answer(MPI_Comm comm, int rank) {
  for (int i = 0; i < kRoundTrips; ++i) {
    double time = 0;
    check_mpi(MPI_Recv(&time, 1, MPI_DOUBLE, rank, kTag, comm, MPI_STATUS_IGNORE));
    time = wall_clock();
    check_mpi(MPI_Send(&time, 1, MPI_DOUBLE, rank, kTag, comm));
  }
}

double ask(MPI_Comm comm) {
  double fastest = std::numeric_limits<double>::infinity(), offset = 0;
  for (int i = 0; i < kRoundTrips; ++i) {
    const double sent = wall_clock();
    double theirs = sent;
    check_mpi(MPI_Send(&theirs, 1, MPI_DOUBLE, 0, kTag, comm));
    check_mpi(MPI_Recv(&theirs, 1, MPI_DOUBLE, 0, kTag, comm, MPI_STATUS_IGNORE));
    const double received = wall_clock();
    if (received - sent >= fastest) continue;
    fastest = received - sent;
    offset = (sent + received) / 2 - theirs;
  }
  return offset;
}

}  // namespace

double clock_offset(const Context& context) {
  const CommHandle leaders =
      split(context.world(), context.local_rank() == 0 ? 0 : 1, context.rank());
  double offset = 0;
  if (context.local_rank() == 0) {
    for (int node = 1; node < context.nodes(); ++node) {
      if (context.first()) answer(leaders.get(), node);
      if (context.node() == node) offset = ask(leaders.get());
    }
  }
  check_mpi(MPI_Bcast(&offset, 1, MPI_DOUBLE, 0, context.node_comm()));
  return offset;
}

}  // namespace lockstep::slurm
