// SPDX-License-Identifier: Apache-2.0
// All-to-all by pairs: in step s every rank sends to the one s ahead and receives from the one s
// behind, straight from input to output.
//
//   steps  p-1
//   bytes  (p-1)/p * n    sent per rank; no algorithm sends fewer
//   time   (p-1)*alpha + (p-1)/p * n*beta
//   needs  any p >= 1 that divides the count
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
  const int p = net.size(), me = net.rank();
  net.copy(call.block(call.out, me), call.block(call.in, me));
  for (int s = 1; s < p; ++s) {
    const int to = (me + s) % p, from = (me + p - s) % p;
    net.exchange(call.block(call.in, to), to, call.block(call.out, from), from);
  }
}

}  // namespace

extern const Algorithm all_to_all_pairwise{Collective::all_to_all, "native/pairwise", run, seconds};

}  // namespace lockstep
