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

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  const double moved = n * (p - 1) / p;
  return 2 * (p - 1) * link.alpha + 2 * moved * link.beta + moved * link.gamma;
}

void run(Transport& net, const Call& call) {
  const Elements& data = call.out;
  net.copy(data, call.in);
  const int p = net.size(), me = net.rank();
  const int next = (me + 1) % p, prev = (me + p - 1) % p;
  const Elements incoming = net.scratch(call.blocks.largest(), data.dtype);

  for (int s = 0; s < p - 1; ++s) {  // lap 1: block me+1 ends up complete here
    const Elements target = call.block(data, me - s - 1);
    const Elements from_prev = incoming.first(target.count);
    net.exchange(call.block(data, me - s), next, from_prev, prev);
    net.combine(target, target, from_prev, call.op);
  }
  for (int s = 0; s < p - 1; ++s) {  // lap 2: pass the complete blocks on
    net.exchange(call.block(data, me + 1 - s), next, call.block(data, me - s), prev);
  }
}

}  // namespace

extern const Algorithm all_reduce_ring{Collective::all_reduce, "native/ring", run, seconds};

}  // namespace lockstep
