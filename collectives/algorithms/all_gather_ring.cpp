// SPDX-License-Identifier: Apache-2.0
// All-gather over one ring: every rank passes on what it got last.
//
//   steps  p-1
//   bytes  (p-1)/p * n    sent per rank; no algorithm sends fewer
//   time   (p-1)*alpha + (p-1)/p * n*beta
//   needs  any p >= 1, any count: rank i gives block i of the near-equal blocks
//
// P. Patarasuk, X. Yuan, JPDC 69(2), 2009.
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  return (p - 1) * link.alpha + n * (p - 1) / p * link.beta;
}

void run(Transport& net, const Call& call) {
  const Elements &full = call.out, &shard = call.in;
  const int p = net.size(), me = net.rank();
  const int next = (me + 1) % p, prev = (me + p - 1) % p;

  net.copy(call.block(full, me), shard);
  for (int s = 0; s < p - 1; ++s) {
    net.exchange(call.block(full, me - s), next, call.block(full, me - s - 1), prev);
  }
}

}  // namespace

extern const Algorithm all_gather_ring{Collective::all_gather, "native/ring", run, seconds};

}  // namespace lockstep
