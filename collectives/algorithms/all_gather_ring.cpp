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

double all_gather_ring_seconds(int p, double n, const Link& link) {
  return (p - 1) * link.alpha + n * (p - 1) / p * link.beta;
}

void all_gather_ring(Transport& net, const Elements& full, const Elements& shard) {
  const int p = net.size(), me = net.rank();
  const int next = (me + 1) % p, prev = (me + p - 1) % p;

  net.copy(block_of(full, p, me), shard);
  for (int s = 0; s < p - 1; ++s) {
    net.exchange(block_of(full, p, me - s), next, block_of(full, p, me - s - 1), prev);
  }
}

}  // namespace lockstep
