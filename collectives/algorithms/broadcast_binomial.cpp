// SPDX-License-Identifier: Apache-2.0
// Broadcast along a binomial tree: whoever has the data sends it on, so the number of ranks that
// have it doubles with each step.
//
//   steps  ceil(log2 p)
//   bytes  ceil(log2 p) * n    sent by the root, n received by each other rank
//   time   ceil(log2 p) * (alpha + n*beta)
//   needs  any p >= 1, any count, any root
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  return ceil_log2(p) * (link.alpha + n * link.beta);
}

void run(Transport& net, const Call& call) {
  const Elements& data = call.out;
  const int root = call.root;
  const int p = net.size();
  const int place = (net.rank() - root + p) % p;  // the root is at 0
  auto rank_at = [&](int v) { return (v + root) % p; };

  // The lowest set bit of a place leads to its parent; all lower bits lead to its children.
  int bit = 1;
  while (bit < p && !(place & bit))
    bit *= 2;
  if (place != 0) net.receive(data, rank_at(place - bit));
  for (bit /= 2; bit > 0; bit /= 2) {
    if (place + bit < p) net.send(data, rank_at(place + bit));
  }
}

}  // namespace

extern const Algorithm broadcast_binomial{Collective::broadcast, "native/binomial", run, seconds};

}  // namespace lockstep
