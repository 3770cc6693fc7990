// SPDX-License-Identifier: Apache-2.0
// All-to-all in shared memory: every rank copies its block from each of the others.
//
//   steps  2 synchronisations
//   bytes  n read and n written by each rank
//   time   2p*sync + n*copy, plain memory fetched instead of copied
//   needs  shared memory; any count that p divides
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  if (p == 1) return 0;
  const double copied = group.memory == MemoryKind::shared ? n * links.shared.copy : 0;
  return synchronisation_seconds(group, 2, links) + copied +
         fetch_seconds(group, n * (p - 1) / p, p - 1, links);
}

void run(Transport& net, const Call& call) {
  SharedMemory& memory = *net.shared();
  const int p = net.size(), me = net.rank();
  const std::size_t mine = call.blocks[me].begin;
  memory.show(call.in);
  net.copy(call.block(call.out, me), call.block(call.in, me));
  for (int step = 1; step < p; ++step) {  // not all at once from the same rank
    const int r = (me + step) % p;
    const Elements block = call.block(call.out, r);
    if (block.count > 0) memory.fetch(block, r, mine);
  }
  memory.barrier();
}

}  // namespace

extern const Algorithm all_to_all_shared{Collective::all_to_all, "native/shared", run, seconds,
                                         needs_shared_memory};

}  // namespace lockstep
