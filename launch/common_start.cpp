// SPDX-License-Identifier: Apache-2.0
#include "launch/common_start.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <limits>
#include <thread>

#include "runtime/base/clock.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

namespace {

constexpr int kRoundTrips = 16;
constexpr double kWakeSeconds = 300e-6;  // a sleep may last that much longer
constexpr double kLeastHorizon = 200e-6;

struct RoundTrip {
  double seconds = std::numeric_limits<double>::infinity();
  double ahead = 0;  // of rank 0's clock
};

RoundTrip ask_first(MPI_Comm comm) {
  RoundTrip best;
  for (int i = 0; i < kRoundTrips; ++i) {
    double theirs = 0;
    const double begin = now();
    check_mpi(MPI_Sendrecv(&begin, 1, MPI_DOUBLE, 0, 0, &theirs, 1, MPI_DOUBLE, 0, 0, comm,
                           MPI_STATUS_IGNORE));
    const double end = now();
    if (end - begin < best.seconds) best = {end - begin, (begin + end) / 2 - theirs};
  }
  return best;
}

void answer(int rank, MPI_Comm comm) {
  for (int i = 0; i < kRoundTrips; ++i) {
    double ignored = 0;
    check_mpi(MPI_Recv(&ignored, 1, MPI_DOUBLE, rank, 0, comm, MPI_STATUS_IGNORE));
    const double mine = now();
    check_mpi(MPI_Send(&mine, 1, MPI_DOUBLE, rank, 0, comm));
  }
}

}  // namespace

CommonStart::CommonStart(MPI_Comm comm) : comm_(comm) {
  check_mpi(MPI_Comm_rank(comm, &rank_));
  check_mpi(MPI_Comm_size(comm, &size_));
  RoundTrip mine{0, 0};
  for (int r = 1; r < size_; ++r) {
    if (rank_ == 0) answer(r, comm);
    if (rank_ == r) mine = ask_first(comm);
  }
  ahead_ = mine.ahead;
  double slowest = mine.seconds;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &slowest, 1, MPI_DOUBLE, MPI_MAX, comm));
  const int steps = std::bit_width(static_cast<unsigned>(size_));
  horizon_ = std::max(kLeastHorizon, slowest * steps);  // twice what a broadcast takes
}

double CommonStart::wait() const {
  double start = now() + horizon_;
  check_mpi(MPI_Bcast(&start, 1, MPI_DOUBLE, 0, comm_));
  start += ahead_;
  const double nap = start - now() - kWakeSeconds;
  if (nap > 0) std::this_thread::sleep_for(std::chrono::duration<double>(nap));
  while (now() < start)
    std::this_thread::yield();
  return start;
}

}  // namespace lockstep
