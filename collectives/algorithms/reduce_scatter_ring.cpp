// SPDX-License-Identifier: Apache-2.0
// Reduce-scatter over one ring: the partial sum of a block travels once around and ends at its
// owner. The input stays as it is; the shard may be the rank's own block of it.
//
//   steps  p-1
//   bytes  (p-1)/p * n    sent per rank; no algorithm sends fewer
//   time   (p-1)*alpha + (p-1)/p * n*(beta + gamma)
//   needs  any p >= 1, any count: rank i gets block i of the near-equal blocks
//   order  block i is summed from rank i+1 around the ring to rank i
//
// P. Patarasuk, X. Yuan, JPDC 69(2), 2009.
#include "collectives/algorithms/table.hpp"

namespace lockstep {

double reduce_scatter_ring_seconds(int p, double n, const Link& link) {
  return (p - 1) * link.alpha + n * (p - 1) / p * (link.beta + link.gamma);
}

void reduce_scatter_ring(Transport& net, const Elements& shard, const Elements& full, ReduceOp op) {
  const int p = net.size(), me = net.rank();
  const int next = (me + 1) % p, prev = (me + p - 1) % p;
  if (p == 1) return net.copy(shard, full);

  const std::size_t most = largest_block(full.count, p);
  const Elements scratch = net.scratch(2 * most, full.dtype);
  Elements outgoing = block_of(full, p, me - 1);
  for (int s = 0; s < p - 1; ++s) {
    const Elements own = block_of(full, p, me - s - 2);
    const Elements incoming = scratch.subspan(s % 2 * most, own.count);
    net.exchange(outgoing, next, incoming, prev);
    const Elements& sum = s == p - 2 ? shard : incoming;
    net.combine(sum, incoming, own, op);
    outgoing = sum;
  }
}

}  // namespace lockstep
