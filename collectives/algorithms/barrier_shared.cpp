// SPDX-License-Identifier: Apache-2.0
// Barrier in shared memory: every rank raises its flag and reads those of all others.
//
//   steps  1
//   time   p*sync
//   needs  shared memory
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double, const Links& links) {
  return synchronisation_seconds(group, 1, links);
}

void run(Transport& net, const Call&) {
  net.shared()->barrier();
}

}  // namespace

extern const Algorithm barrier_shared{Collective::barrier, "native/shared", run, seconds,
                                      needs_shared_memory};

}  // namespace lockstep
