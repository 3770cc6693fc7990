// SPDX-License-Identifier: Apache-2.0
// All-gather in shared memory: every rank copies the blocks of all. Short blocks are staged, which
// needs one synchronisation; long ones are shown and read where they are.
//
//   steps  1 or 2 synchronisations
//   bytes  (p-1)/p n read and n written by each rank
//   time   short: p*sync + n*stage; long: 2p*sync + n*copy, plain memory fetched instead of copied
//   needs  shared memory; any count
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

namespace {

bool is_short(double block_bytes, MemoryKind memory) {
  return block_bytes <= static_cast<double>(most_staged(memory));
}

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  if (p == 1) return 0;
  if (is_short(n / p, group.memory))
    return synchronisation_seconds(group, 1, links) + n * links.shared.stage;
  const double copied = group.memory == MemoryKind::shared ? n * links.shared.copy : 0;
  return synchronisation_seconds(group, 2, links) + copied +
         fetch_seconds(group, n * (p - 1) / p, p - 1, links);
}

void run_short(Transport& net, SharedMemory& memory, const Call& call) {
  memory.stage(call.in);
  for (int r = 0; r < net.size(); ++r) {
    const Elements block = call.block(call.out, r);
    net.copy(block, {memory.staged(r).data, block.count, block.dtype});
  }
}

void run_long(Transport& net, SharedMemory& memory, const Call& call) {
  const int p = net.size(), me = net.rank();
  memory.show(call.in);
  net.copy(call.block(call.out, me), call.in);
  for (int step = 1; step < p; ++step) {
    const int r = (me + step) % p;
    const Elements block = call.block(call.out, r);
    if (block.count > 0) memory.fetch(block, r, 0);
  }
  memory.barrier();
}

void run(Transport& net, const Call& call) {
  SharedMemory& memory = *net.shared();
  const std::size_t block_bytes = call.blocks.largest() * size_of(call.dtype);
  if (is_short(static_cast<double>(block_bytes), call.memory)) return run_short(net, memory, call);
  run_long(net, memory, call);
}

}  // namespace

extern const Algorithm all_gather_shared{Collective::all_gather, "native/shared", run, seconds,
                                         needs_shared_memory};

}  // namespace lockstep
