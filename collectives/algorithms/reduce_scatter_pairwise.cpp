// SPDX-License-Identifier: Apache-2.0
// Reduce-scatter by pairs: in step s every rank sends the owner s ahead its block, straight from
// the input. As many bytes as the ring, but nobody waits for a sum that another is working on.
//
//   steps  p-1
//   bytes  (p-1)/p * n    sent per rank; no algorithm sends fewer
//   time   (p-1)*alpha + (p-1)/p * n*(beta + gamma)
//   needs  any p >= 1, any count, any blocks
//   order  block i is summed from rank i down to rank i+1, around the ring
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  return (p - 1) * link.alpha + n * (p - 1) / p * (link.beta + link.gamma);
}

void run(Transport& net, const Call& call) {
  const int p = net.size(), me = net.rank();
  if (p == 1) return net.copy(call.out, call.in);

  const Elements incoming = net.scratch(call.out.count, call.out.dtype);
  Elements sum = call.block(call.in, me);
  for (int s = 1; s < p; ++s) {
    const int to = (me + s) % p;
    net.exchange(call.block(call.in, to), to, incoming, (me + p - s) % p);
    net.combine(call.out, sum, incoming, call.op);
    sum = call.out;
  }
}

}  // namespace

extern const Algorithm reduce_scatter_pairwise{Collective::reduce_scatter, "native/pairwise", run,
                                               seconds};

}  // namespace lockstep
