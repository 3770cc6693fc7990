// SPDX-License-Identifier: Apache-2.0
// All-reduce over one ring: a reduce-scatter lap, then an all-gather lap.
//
//   steps  2(p-1)
//   bytes  2(p-1)/p * n   sent per rank; no algorithm sends fewer
//   time   2(p-1)*alpha + 2(p-1)/p * n*beta + (p-1)/p * n*gamma
//   needs  any p >= 1, any count
//   order  each block is summed once, around the ring: the same bits on every rank
//
// P. Patarasuk, X. Yuan, JPDC 69(2), 2009.
#include "collectives/algorithms/table.hpp"

namespace lockstep {

double all_reduce_ring_seconds(int p, double n, const Link& link) {
  const double moved = n * (p - 1) / p;
  return 2 * (p - 1) * link.alpha + 2 * moved * link.beta + moved * link.gamma;
}

void all_reduce_ring(Transport& net, const Elements& data, ReduceOp op) {
  const int p = net.size(), me = net.rank();
  const int next = (me + 1) % p, prev = (me + p - 1) % p;
  const Elements incoming = net.scratch(largest_block(data.count, p), data.dtype);

  for (int s = 0; s < p - 1; ++s) {  // lap 1: block me+1 ends up complete here
    const Elements target = block_of(data, p, me - s - 1);
    const Elements from_prev = incoming.first(target.count);
    net.exchange(block_of(data, p, me - s), next, from_prev, prev);
    net.combine(target, target, from_prev, op);
  }
  for (int s = 0; s < p - 1; ++s) {  // lap 2: pass the complete blocks on
    net.exchange(block_of(data, p, me + 1 - s), next, block_of(data, p, me - s), prev);
  }
}

}  // namespace lockstep
