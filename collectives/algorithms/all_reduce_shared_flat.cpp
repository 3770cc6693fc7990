// SPDX-License-Identifier: Apache-2.0
// All-reduce of short vectors in shared memory: every rank stages its own and then reduces all of
// them by itself. One synchronisation; the two staging areas are used in turn, so there is none
// behind it.
//
//   steps  1
//   bytes  n copied, p*n read by each rank
//   time   p*sync + p*n*stage
//   needs  shared memory, at most kStageBytes
//   order  rank 0, 1, ... p-1: the same bits on every rank, whatever the algorithm in shared memory
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  if (p == 1) return 0;
  return synchronisation_seconds(group, 1, links) + p * n * links.shared.stage;
}

void run(Transport& net, const Call& call) {
  SharedMemory& memory = *net.shared();
  memory.stage(call.in);
  net.combine_all({&call.out, 1}, memory.staged_by_all(net.size()), call.op);
}

}  // namespace

extern const Algorithm all_reduce_shared_flat{
    Collective::all_reduce, "native/shared_flat", run, seconds, needs_shared_memory, kStageBytes};

}  // namespace lockstep
