// SPDX-License-Identifier: Apache-2.0
// Broadcast in shared memory: all ranks copy from the root at once.
//
//   steps  1 synchronisation for what is staged, else 2
//   bytes  n read and n written by each rank
//   time   short: p*sync + 2n*stage; long: 2p*sync + n*copy, plain memory fetched instead of copied
//   short  what a rank may stage; of memory that all address, what is staged sooner than met for
//          once more (shared_steps.hpp)
//   needs  shared memory; any count
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

namespace {

bool is_short(double bytes, MemoryKind memory) {
  return bytes <= static_cast<double>(most_staged(memory));
}

double seconds(const GroupShape& group, double n, const Links& links) {
  if (group.ranks == 1) return 0;
  if (is_short(n, group.memory))
    return synchronisation_seconds(group, 1, links) + 2 * n * links.shared.stage;
  const double copied = group.memory == MemoryKind::shared ? n * links.shared.copy : 0;
  return synchronisation_seconds(group, 2, links) + copied + fetch_seconds(group, n, 1, links);
}

void run(Transport& net, const Call& call) {
  SharedMemory& memory = *net.shared();
  const bool at_root = net.rank() == call.root;
  if (is_short(static_cast<double>(call.bytes()), call.memory)) {
    memory.stage(at_root ? call.in : call.out.first(0));
    if (!at_root) net.copy(call.out, {memory.staged(call.root).data, call.count(), call.dtype});
    return;
  }
  memory.show(call.out);
  if (!at_root) memory.fetch(call.out, call.root, 0);
  memory.barrier();
}

}  // namespace

extern const Algorithm broadcast_shared{Collective::broadcast, "native/shared", run, seconds,
                                        needs_shared_memory};

}  // namespace lockstep
