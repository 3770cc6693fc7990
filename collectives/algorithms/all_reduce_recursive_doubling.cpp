// SPDX-License-Identifier: Apache-2.0
// All-reduce by recursive doubling: in step k, ranks at distance 2^k swap everything they have and
// both add. The fewest steps, so the choice for short vectors. Where p is no power of two, with
// q the power below and r = p - q: the first r pairs fold into one rank each before, and the folded
// rank gets the result after.
//
//   steps  log2(q), and 2 more if r > 0
//   bytes  log2(q) * n    sent per rank (the folding ranks n more)
//   time   steps * (alpha + n*beta) + (log2(q) + [r > 0]) * n*gamma
//   needs  any p >= 1, any count
//   order  a balanced tree over the ranks, lower ranks left: the same bits on every rank
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  const int q = power_of_two_below(p), folds = p > q;
  const int doublings = floor_log2(q);
  return (doublings + 2 * folds) * (link.alpha + n * link.beta) +
         (doublings + folds) * n * link.gamma;
}

void run(Transport& net, const Call& call) {
  const Elements& data = call.out;
  net.copy(data, call.in);
  const int me = net.rank();
  const Folding fold(net.size());
  const Elements incoming = net.scratch(data.count, data.dtype);

  if (fold.folded(me)) {  // the even neighbour speaks for both
    net.send(data, me - 1);
    net.receive(data, me - 1);
    return;
  }
  if (fold.paired(me)) {
    net.receive(incoming, me + 1);
    net.combine(data, data, incoming, call.op);
  }
  const int place = fold.place_of(me);  // among the ranks that go on
  for (int distance = 1; distance < fold.places(); distance *= 2) {
    const int partner = place ^ distance;
    net.exchange(data, fold.rank_at(partner), incoming, fold.rank_at(partner));
    if (partner < place) {
      net.combine(data, incoming, data, call.op);
    } else {
      net.combine(data, data, incoming, call.op);
    }
  }
  if (fold.paired(me)) net.send(data, me + 1);
}

}  // namespace

extern const Algorithm all_reduce_recursive_doubling{Collective::all_reduce,
                                                     "native/recursive_doubling", run, seconds};

}  // namespace lockstep
