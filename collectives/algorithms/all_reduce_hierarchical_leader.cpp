// SPDX-License-Identifier: Apache-2.0
// All-reduce for nodes of several ranks: reduce to the first rank of each node, all-reduce across
// these leaders, broadcast inside. One rank per node talks to others, so few messages cross the
// network: for short vectors, and for nodes of different sizes.
//
//   q ranks on the fullest of N nodes; inside: shared memory where there is one, else binomial
//   trees; across: recursive doubling
//   steps  2 ceil(log2 q) inside (2 to 5 synchronisations in shared memory), log2(N) across (2 more
//          if N is no power of two)
//   bytes  n up and ceil(log2 q) * n down inside, log2(N) * n across    sent by a leader
//   time   reduce(q, n) + all_reduce(N, n) + broadcast(q, n)
//   needs  several nodes, not all of one rank; any count
//   order  each node is summed by itself, then the nodes: the same bits on every rank
//
// J. L. Traeff, SC 2002 (collectives for clusters of multiprocessors).
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

extern const Algorithm all_reduce_recursive_doubling, all_reduce_shared_flat,
    all_reduce_shared_slice, broadcast_binomial, broadcast_shared, reduce_binomial;

namespace {

// In shared memory all get the sum of the node as fast as one would.
const Algorithm& all_reduce_shared(double bytes) {
  const bool is_short = bytes <= static_cast<double>(all_reduce_shared_flat.largest);
  return is_short ? all_reduce_shared_flat : all_reduce_shared_slice;
}

double seconds(const GroupShape& group, double n, const Links& links) {
  const GroupShape inside = group.inside();
  const double across = all_reduce_recursive_doubling.seconds(group.across(), n, links);
  if (shares_calls(inside)) {
    return all_reduce_shared(n).seconds(inside, n, links) + across +
           broadcast_shared.seconds(inside, n, links);
  }
  return reduce_binomial.seconds(inside, n, links) + across +
         broadcast_binomial.seconds(inside, n, links);
}

void run(Transport& net, const Call& call) {
  Transport &inside = net.inside(), &across = net.across();  // made by all, used by leaders
  GroupShape node = inside.shape();
  node.memory = call.memory;
  const bool leader = inside.rank() == 0, shared = shares_calls(node);
  const int q = inside.size();

  if (shared) {
    const auto bytes = static_cast<double>(call.bytes());
    all_reduce_shared(bytes).run(inside, all_reduce_call(call.out, call.in, call.op, q));
  } else {
    const Elements result = leader ? call.out : call.out.first(0);
    reduce_binomial.run(inside, reduce_call(result, call.in, call.op, 0, q));
  }
  if (leader) {
    all_reduce_recursive_doubling.run(across,
                                      all_reduce_call(call.out, call.out, call.op, across.size()));
  }
  (shared ? broadcast_shared : broadcast_binomial).run(inside, broadcast_call(call.out, 0, q));
}

}  // namespace

extern const Algorithm all_reduce_hierarchical_leader{
    Collective::all_reduce, "native/hierarchical_leader", run, seconds, needs_nodes};

}  // namespace lockstep
