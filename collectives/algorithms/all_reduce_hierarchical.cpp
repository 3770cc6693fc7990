// SPDX-License-Identifier: Apache-2.0
// All-reduce for nodes of several ranks: reduce-scatter inside each node, all-reduce of each shard
// across the nodes, all-gather inside. All ranks of a node send across at the same time, and each
// only n/q: for long vectors.
//
//   q ranks on each of N nodes; inside: shared memory where there is one, else halving and doubling
//   where q is a power of two, else rings; across: halving and doubling
//   steps  2 log2(q) or 2(q-1) inside (4 synchronisations in shared memory), 2 log2(N) across
//   bytes  2(q-1)/q * n inside, 2(N-1)/N * n/q across    sent per rank
//   time   reduce_scatter(q, n) + all_reduce(N, n/q) + all_gather(q, n); ranks of a node are taken
//          to send across without slowing each other
//   needs  several nodes with the same number of ranks, more than one; any count
//   order  each block is summed once inside and once across: the same bits on every rank
//
// A. Awan et al., Horovod's hierarchical all-reduce; NCCL 2.4 and BlueConnect (M. Cho et al.,
// 2019).
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/shared_steps.hpp"

namespace lockstep {

extern const Algorithm all_gather_recursive_doubling, all_gather_ring, all_gather_shared,
    all_reduce_halving_doubling, reduce_scatter_recursive_halving, reduce_scatter_ring,
    reduce_scatter_shared;

namespace {

bool is_power_of_two(int q) {
  return power_of_two_below(q) == q;
}
const Algorithm& reduce_scatter(const GroupShape& inside) {
  if (shares_calls(inside)) return reduce_scatter_shared;
  return is_power_of_two(inside.ranks) ? reduce_scatter_recursive_halving : reduce_scatter_ring;
}
const Algorithm& all_gather(const GroupShape& inside) {
  if (shares_calls(inside)) return all_gather_shared;
  return is_power_of_two(inside.ranks) ? all_gather_recursive_doubling : all_gather_ring;
}

double seconds(const GroupShape& group, double n, const Links& links) {
  const GroupShape inside = group.inside();
  return reduce_scatter(inside).seconds(inside, n, links) +
         all_reduce_halving_doubling.seconds(group.across(), n / inside.ranks, links) +
         all_gather(inside).seconds(inside, n, links);
}

void run(Transport& net, const Call& call) {
  Transport &inside = net.inside(), &across = net.across();
  GroupShape node = inside.shape();
  node.memory = call.memory;
  const Blocks shards(call.out.count, inside.size());
  const Elements shard = call.out.at(shards[inside.rank()]);

  reduce_scatter(node).run(inside, reduce_scatter_call(shard, call.in, call.op, shards));
  all_reduce_halving_doubling.run(across, all_reduce_call(shard, shard, call.op, across.size()));
  all_gather(node).run(inside, all_gather_call(call.out, shard, shards));
}

}  // namespace

extern const Algorithm all_reduce_hierarchical{Collective::all_reduce, "native/hierarchical", run,
                                               seconds, needs_even_nodes};

}  // namespace lockstep
