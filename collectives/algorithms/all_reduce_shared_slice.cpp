// SPDX-License-Identifier: Apache-2.0
// All-reduce of long vectors in shared memory: each rank reduces one slice of all vectors. Where
// they have addresses here (Communicator::allocate) it writes the result into all of them; where
// not, it fetches what it reduces, and the finished slices of the others at the end.
//
//   steps  2 synchronisations; 3 for plain memory
//   bytes  n read and n written by each rank; plain memory: 2(p-1)/p n fetched, n/p reduced
//   time   2p*sync + n*(reduce + copy)
//          plain: 3p*sync + 2(p-1)/p n*fetch + n*reduce + reach for each piece
//   needs  shared memory; any count
//   order  rank 0, 1, ... p-1: the same bits on every rank, whatever the slicing
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  if (p == 1) return 0;
  const double reduced = reduce_shown_seconds(group, n / p, links);
  if (group.memory == MemoryKind::shared) {
    return synchronisation_seconds(group, 2, links) + reduced + n * links.shared.copy;
  }
  return synchronisation_seconds(group, 3, links) + reduced +
         fetch_seconds(group, n * (p - 1) / p, p - 1, links);
}

void reduce_into_all(Transport& net, SharedMemory& memory, const Call& call) {
  const Block mine = slice_of(call, net.size(), net.rank());
  if (mine.count > 0) {
    const auto slices = memory.shown_by_all(net.size(), mine);
    net.combine_all(slices, slices, call.op);
  }
  memory.barrier();
}

void reduce_and_fetch(Transport& net, SharedMemory& memory, const Call& call) {
  const int p = net.size(), me = net.rank();
  const Block mine = slice_of(call, p, me);
  reduce_shown(net, memory, call.out.at(mine), mine, call.op);
  memory.barrier();
  for (int step = 1; step < p; ++step) {  // not all at once from the same rank
    const int r = (me + step) % p;
    const Block slice = slice_of(call, p, r);
    if (slice.count > 0) memory.fetch(call.out.at(slice), r, slice.begin);
  }
  memory.barrier();
}

void run(Transport& net, const Call& call) {
  SharedMemory& memory = *net.shared();
  net.copy(call.out, call.in);
  memory.show(call.out);
  if (memory.addressable()) return reduce_into_all(net, memory, call);
  reduce_and_fetch(net, memory, call);
}

}  // namespace

extern const Algorithm all_reduce_shared_slice{Collective::all_reduce, "native/shared_slice", run,
                                               seconds, needs_shared_memory};

}  // namespace lockstep
