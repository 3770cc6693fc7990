// SPDX-License-Identifier: Apache-2.0
// All-reduce by recursive halving, then recursive doubling: few steps and few bytes. Where p is no
// power of two, with q the power below, the first p-q pairs fold into one rank each before, and the
// folded rank gets the result after.
//
//   steps  2 log2(q), and 2 more if p > q
//   bytes  2(q-1)/q * n    sent per rank (the folding ranks n more)
//   time   2 log2(q)*alpha + 2(q-1)/q * n*beta + (q-1)/q * n*gamma,
//          and 2(alpha + n*beta) + n*gamma more if p > q
//   needs  any p >= 1, any count
//   order  each block is summed once, in a balanced tree, lower ranks left: the same bits on every
//          rank
//
// R. Rabenseifner, ICCS 2004; R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/halving.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const Link& link = links.of(group);
  const int q = power_of_two_below(group.ranks), folds = group.ranks > q;
  const double moved = n * (q - 1) / q;
  return 2 * (floor_log2(q) + folds) * link.alpha + 2 * (moved + folds * n) * link.beta +
         (moved + folds * n) * link.gamma;
}

void run(Transport& net, const Call& call) {
  const Elements& data = call.out;
  const int me = net.rank();
  if (net.size() == 1) return net.copy(data, call.in);

  const Folding fold(net.size());
  if (fold.folded(me)) {
    net.send(call.in, me - 1);
    return net.receive(data, me - 1);
  }
  const Cuts cuts = even_cuts(data.count, fold);
  const Elements incoming =
      net.scratch(fold.paired(me) ? data.count : data.count / 2 + 1, data.dtype);
  if (fold.paired(me)) {
    net.receive(incoming, me + 1);
    net.combine(data, call.in, incoming, call.op);
  }
  halve(net, fold, cuts, data, fold.paired(me) ? data : call.in, incoming, call.op);
  double_up(net, fold, cuts, data);
  if (fold.paired(me)) net.send(data, me + 1);
}

}  // namespace

extern const Algorithm all_reduce_halving_doubling{Collective::all_reduce,
                                                   "native/halving_doubling", run, seconds};

}  // namespace lockstep
