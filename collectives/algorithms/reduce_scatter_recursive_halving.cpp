// SPDX-License-Identifier: Apache-2.0
// Reduce-scatter by recursive halving: in each step a rank gives the half of its blocks that its
// partner ends with. Where p is no power of two, with q the power below, the first p-q pairs fold
// into one rank each before, and the folded rank gets its block after.
//
//   steps  log2(q), and 2 more if p > q
//   bytes  (q-1)/q * n    sent per rank (the folded ranks n)
//   time   log2(q)*alpha + (q-1)/q * n*(beta + gamma),
//          and 2 alpha + n*(beta + gamma) + n/p * beta more if p > q
//   needs  any p >= 1, any count, any blocks; with near-equal blocks the time is as above
//   order  a balanced tree over the ranks, lower ranks left
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/halving.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const Link& link = links.of(group);
  const int p = group.ranks, q = power_of_two_below(p), folds = p > q;
  const double moved = n * (q - 1) / q + folds * n;
  return (floor_log2(q) + 2 * folds) * link.alpha + moved * (link.beta + link.gamma) +
         folds * n / p * link.beta;
}

void run(Transport& net, const Call& call) {
  const int me = net.rank();
  if (net.size() == 1) return net.copy(call.out, call.in);

  const Folding fold(net.size());
  if (fold.folded(me)) {
    net.send(call.in, me - 1);
    return net.receive(call.out, me - 1);
  }
  const std::size_t n = call.in.count;
  const Elements scratch = net.scratch(2 * n, call.in.dtype);
  const Elements work = scratch.first(n), incoming = scratch.subspan(n, n);
  if (fold.paired(me)) {
    net.receive(incoming, me + 1);
    net.combine(work, call.in, incoming, call.op);
  }
  halve(net, fold, cuts_of(call.blocks, fold), work, fold.paired(me) ? work : call.in, incoming,
        call.op);
  if (fold.paired(me)) net.send(call.block(work, me + 1), me + 1);
  net.copy(call.out, call.block(work, me));
}

}  // namespace

extern const Algorithm reduce_scatter_recursive_halving{Collective::reduce_scatter,
                                                        "native/recursive_halving", run, seconds};

}  // namespace lockstep
