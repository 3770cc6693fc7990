// SPDX-License-Identifier: Apache-2.0
// All-gather by recursive doubling: in step k, ranks at distance 2^k swap all the blocks they have.
// Where p is no power of two, with q the power below, the first p-q pairs fold into one rank each
// before, and the folded rank gets everything after: the ring sends half as much then.
//
//   steps  log2(q), and 2 more if p > q
//   bytes  (q-1)/q * n    sent per rank (the folding ranks n more)
//   time   log2(q)*alpha + (q-1)/q * n*beta, and 2 alpha + (n + n/p)*beta more if p > q
//   needs  any p >= 1, any count, any blocks; with near-equal blocks the time is as above
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/halving.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const Link& link = links.of(group);
  const int p = group.ranks, q = power_of_two_below(p), folds = p > q;
  return (floor_log2(q) + 2 * folds) * link.alpha +
         (n * (q - 1) / q + folds * (n + n / p)) * link.beta;
}

void run(Transport& net, const Call& call) {
  const Elements& full = call.out;
  const int me = net.rank();
  const Folding fold(net.size());
  net.copy(call.block(full, me), call.in);
  if (fold.folded(me)) {
    net.send(call.block(full, me), me - 1);
    return net.receive(full, me - 1);
  }
  if (fold.paired(me)) net.receive(call.block(full, me + 1), me + 1);
  double_up(net, fold, cuts_of(call.blocks, fold), full);
  if (fold.paired(me)) net.send(full, me + 1);
}

}  // namespace

extern const Algorithm all_gather_recursive_doubling{Collective::all_gather,
                                                     "native/recursive_doubling", run, seconds};

}  // namespace lockstep
