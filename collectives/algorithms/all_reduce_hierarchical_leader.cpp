// SPDX-License-Identifier: Apache-2.0
// All-reduce for nodes of several ranks: reduce to the first rank of each node, all-reduce across
// these leaders, broadcast inside. One rank per node talks to others, so few messages cross the
// network: for short vectors, and for nodes of different sizes.
//
//   q ranks on the fullest of N nodes; binomial trees inside, recursive doubling across
//   steps  2 ceil(log2 q) inside, log2(N) across (2 more if N is no power of two)
//   bytes  n up and ceil(log2 q) * n down inside, log2(N) * n across    sent by a leader
//   time   reduce(q, n) + all_reduce(N, n) + broadcast(q, n)
//   needs  several nodes, not all of one rank; any count
//   order  each node is summed in its tree, the nodes in theirs: the same bits on every rank
//
// J. L. Traeff, SC 2002 (collectives for clusters of multiprocessors).
#include "collectives/algorithms/table.hpp"

namespace lockstep {

extern const Algorithm all_reduce_recursive_doubling, broadcast_binomial, reduce_binomial;

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int fullest = (group.ranks + group.nodes - 1) / group.nodes;  // at least
  const GroupShape inside{.ranks = fullest}, across{.ranks = group.nodes, .nodes = group.nodes};
  return reduce_binomial.seconds(inside, n, links) +
         all_reduce_recursive_doubling.seconds(across, n, links) +
         broadcast_binomial.seconds(inside, n, links);
}

void run(Transport& net, const Call& call) {
  Transport &inside = net.inside(), &across = net.across();  // made by all, used by leaders
  const bool leader = inside.rank() == 0;

  reduce_binomial.run(inside, reduce_call(leader ? call.out : call.out.first(0), call.in, call.op,
                                          0, inside.size()));
  if (leader) {
    all_reduce_recursive_doubling.run(across,
                                      all_reduce_call(call.out, call.out, call.op, across.size()));
  }
  broadcast_binomial.run(inside, broadcast_call(call.out, 0, inside.size()));
}

}  // namespace

extern const Algorithm all_reduce_hierarchical_leader{
    Collective::all_reduce, "native/hierarchical_leader", run, seconds, needs_nodes};

}  // namespace lockstep
