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

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  return (p - 1) * link.alpha + n * (p - 1) / p * (link.beta + link.gamma);
}

void run(Transport& net, const Call& call) {
  const Elements &shard = call.out, &full = call.in;
  const int p = net.size(), me = net.rank();
  const int next = (me + 1) % p, prev = (me + p - 1) % p;
  if (p == 1) return net.copy(shard, full);

  const std::size_t most = call.blocks.largest();
  const Elements scratch = net.scratch(2 * most, full.dtype);
  Elements outgoing = call.block(full, me - 1);
  for (int s = 0; s < p - 1; ++s) {
    const Elements own = call.block(full, me - s - 2);
    const Elements incoming = scratch.subspan(s % 2 * most, own.count);
    net.exchange(outgoing, next, incoming, prev);
    const Elements& sum = s == p - 2 ? shard : incoming;
    net.combine(sum, incoming, own, call.op);
    outgoing = sum;
  }
}

}  // namespace

extern const Algorithm reduce_scatter_ring{Collective::reduce_scatter, "native/ring", run, seconds};

}  // namespace lockstep
