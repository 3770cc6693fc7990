// SPDX-License-Identifier: Apache-2.0
// Reduce along a binomial tree: in step k every second of the ranks that are left sends its sum to
// the one 2^k below, and is done.
//
//   steps  ceil(log2 p)
//   bytes  n    sent by each rank but the root
//   time   ceil(log2 p) * (alpha + n*(beta + gamma))
//   needs  any p >= 1, any count, any root
//   order  a balanced tree over the ranks from the root on, lower ranks left
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const Link& link = links.of(group);
  return ceil_log2(group.ranks) * (link.alpha + n * (link.beta + link.gamma));
}

void run(Transport& net, const Call& call) {
  const int p = net.size(), root = call.root;
  const int place = (net.rank() - root + p) % p;  // the root is at 0
  auto rank_at = [&](int v) { return (v + root) % p; };
  const std::size_t n = call.in.count;
  const Elements scratch = net.scratch(2 * n, call.in.dtype);
  const Elements incoming = scratch.first(n);
  const Elements work = place == 0 ? call.out : scratch.subspan(n, n);

  Elements sum = call.in;  // work, when the first child has come
  for (int bit = 1; bit < p; bit *= 2) {
    if (place & bit) return net.send(sum, rank_at(place - bit));
    if (place + bit >= p) continue;
    net.receive(incoming, rank_at(place + bit));
    net.combine(work, sum, incoming, call.op);
    sum = work;
  }
  net.copy(call.out, sum);
}

}  // namespace

extern const Algorithm reduce_binomial{Collective::reduce, "native/binomial", run, seconds};

}  // namespace lockstep
