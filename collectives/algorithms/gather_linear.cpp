// SPDX-License-Identifier: Apache-2.0
// Gather straight to the root, which has all receives open at the same time.
//
//   steps  p-1 at the root
//   bytes  n/p    sent by each rank but the root
//   time   (p-1)*alpha + (p-1)/p * n*beta
//   needs  any p >= 1, any count, any blocks, any root
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  return (p - 1) * link.alpha + n * (p - 1) / p * link.beta;
}

void run(Transport& net, const Call& call) {
  const int p = net.size(), root = call.root;
  if (net.rank() != root) return net.send(call.in, root);
  for (int s = 1; s < p; ++s) {
    const int from = (root + s) % p;
    net.post_receive(call.block(call.out, from), from);
  }
  net.copy(call.block(call.out, root), call.in);
  net.complete();
}

}  // namespace

extern const Algorithm gather_linear{Collective::gather, "native/linear", run, seconds};

}  // namespace lockstep
