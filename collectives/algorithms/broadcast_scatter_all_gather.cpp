// SPDX-License-Identifier: Apache-2.0
// Broadcast as a binomial scatter and an all-gather: by recursive doubling where p is a power of
// two, by the ring elsewhere. For long vectors: every rank sends at most twice the vector.
//
//   steps  2 log2(p), or ceil(log2 p) + p-1
//   bytes  2(p-1)/p * n    sent by the root, fewer by the others
//   time   steps*alpha + 2(p-1)/p * n*beta
//   needs  any p >= 1, any count, any root
//
// M. Barnett et al., SHPCC 1994; R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

extern const Algorithm all_gather_recursive_doubling, all_gather_ring, scatter_binomial;

namespace {

const Algorithm& all_gather(int p) {
  return power_of_two_below(p) == p ? all_gather_recursive_doubling : all_gather_ring;
}

double seconds(const GroupShape& group, double n, const Links& links) {
  return scatter_binomial.seconds(group, n, links) +
         all_gather(group.ranks).seconds(group, n, links);
}

void run(Transport& net, const Call& call) {
  const Elements& data = call.out;
  const Blocks blocks(data.count, net.size());
  const Elements mine = data.at(blocks[net.rank()]);
  const Elements in = net.rank() == call.root ? data : data.first(0);
  scatter_binomial.run(net, scatter_call(mine, in, call.root, blocks));
  all_gather(net.size()).run(net, all_gather_call(data, mine, blocks));
}

}  // namespace

extern const Algorithm broadcast_scatter_all_gather{Collective::broadcast,
                                                    "native/scatter_all_gather", run, seconds};

}  // namespace lockstep
