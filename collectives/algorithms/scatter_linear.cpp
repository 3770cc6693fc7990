// SPDX-License-Identifier: Apache-2.0
// Scatter straight from the root, which has all sends open at the same time.
//
//   steps  p-1 at the root
//   bytes  (p-1)/p * n    sent by the root
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
  if (net.rank() != root) return net.receive(call.out, root);
  for (int s = 1; s < p; ++s) {
    const int to = (root + s) % p;
    net.post_send(call.block(call.in, to), to);
  }
  net.copy(call.out, call.block(call.in, root));
  net.complete();
}

}  // namespace

extern const Algorithm scatter_linear{Collective::scatter, "native/linear", run, seconds};

}  // namespace lockstep
