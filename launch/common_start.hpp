// SPDX-License-Identifier: Apache-2.0
// Ranks of several nodes that begin at the same time. From a barrier across nodes they come up to
// two latencies apart, which at 1 ms a message is more than a short operation takes; so they agree
// on a time, each by its own clock.
//
// Clocks are compared once: the offset to rank 0's is that of the fastest of some round trips,
// wrong by at most half of what its two ways differ. S. Hunold, A. Carpen-Amarie, TPDS 27(12),
// 2016.
#pragma once

#include <mpi.h>

namespace lockstep {

class CommonStart {
 public:
  // Collective; 16 round trips of each rank.
  explicit CommonStart(MPI_Comm comm);
  // Returns when it is the agreed time on this rank, which it returns. Collective.
  double wait() const;

 private:
  MPI_Comm comm_;
  int rank_ = 0, size_ = 1;
  double ahead_ = 0;    // of rank 0's clock
  double horizon_ = 0;  // seconds in which all have heard of the time
};

}  // namespace lockstep
