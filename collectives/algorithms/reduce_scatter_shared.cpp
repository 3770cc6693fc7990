// SPDX-License-Identifier: Apache-2.0
// Reduce-scatter in shared memory: every rank reduces its block of all vectors in one pass.
//
//   steps  2 synchronisations
//   bytes  n read, n/p written by each rank; plain memory: (p-1)/p n fetched besides
//   time   2p*sync + n*reduce (+ fetch)
//   needs  shared memory; any count
//   order  rank 0, 1, ... p-1
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  if (group.ranks == 1) return 0;
  return synchronisation_seconds(group, 2, links) +
         reduce_shown_seconds(group, n / group.ranks, links);
}

void run(Transport& net, const Call& call) {
  SharedMemory& memory = *net.shared();
  memory.show(call.in);
  reduce_shown(net, memory, call.out, call.blocks[net.rank()], call.op);
  memory.barrier();
}

}  // namespace

extern const Algorithm reduce_scatter_shared{Collective::reduce_scatter, "native/shared", run,
                                             seconds, needs_shared_memory};

}  // namespace lockstep
