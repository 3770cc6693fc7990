// SPDX-License-Identifier: Apache-2.0
// Reduce by recursive halving, after which every rank has a range of the result, and a binomial
// gather of the ranges: for long vectors, because every rank sends at most twice the vector however
// many ranks there are. Where p is no power of two, with q the power below, the first p-q pairs
// fold into one rank each before; the root is never folded.
//
//   steps  2 log2(q), and 1 more if p > q
//   bytes  2(q-1)/q * n    sent per rank at most (the folded ranks n)
//   time   2 log2(q)*alpha + 2(q-1)/q * n*beta + (q-1)/q * n*gamma,
//          and alpha + n*(beta + gamma) more if p > q
//   needs  any p >= 1, any count, any root
//   order  a balanced tree over the ranks, lower ranks left
//
// R. Rabenseifner, ICCS 2004.
#include "collectives/algorithms/halving.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const Link& link = links.of(group);
  const int q = power_of_two_below(group.ranks), folds = group.ranks > q;
  const double moved = n * (q - 1) / q;
  return (2 * floor_log2(q) + folds) * link.alpha + (2 * moved + folds * n) * link.beta +
         (moved + folds * n) * link.gamma;
}

// The places that differ from the root's in the lowest bit send to those that do not, then in the
// next bit of those that are left.
void gather(Transport& net, const Folding& fold, const Cuts& cuts, const Elements& work, int root) {
  const int me = fold.place_of(net.rank()), root_place = fold.place_of(root);
  for (int distance = 1; distance < fold.places(); distance *= 2) {
    const int partner = me ^ distance, has = me & -distance;
    if ((me ^ root_place) & distance) {
      return net.send(range_of(work, cuts, has, distance), fold.rank_at(partner));
    }
    net.receive(range_of(work, cuts, has ^ distance, distance), fold.rank_at(partner));
  }
}

void run(Transport& net, const Call& call) {
  const int me = net.rank();
  if (net.size() == 1) return net.copy(call.out, call.in);

  const Folding fold(net.size(), call.root);
  const int twin = me ^ 1;  // where paired
  if (fold.folded(me)) return net.send(call.in, twin);

  const std::size_t n = call.in.count;
  const Elements scratch = net.scratch(2 * n, call.in.dtype);
  const Elements incoming = scratch.first(n);
  const Elements work = me == call.root ? call.out : scratch.subspan(n, n);
  if (fold.paired(me)) {
    net.receive(incoming, twin);
    net.combine(work, me < twin ? call.in : incoming, me < twin ? incoming : call.in, call.op);
  }
  const Cuts cuts = even_cuts(n, fold);
  halve(net, fold, cuts, work, fold.paired(me) ? work : call.in, incoming, call.op);
  gather(net, fold, cuts, work, call.root);
}

}  // namespace

extern const Algorithm reduce_reduce_scatter_gather{Collective::reduce,
                                                    "native/reduce_scatter_gather", run, seconds};

}  // namespace lockstep
