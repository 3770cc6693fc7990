// SPDX-License-Identifier: Apache-2.0
// All-reduce along one binomial tree: up to rank 0, and down again. Twice the steps of recursive
// doubling, but p-1 messages up and p-1 down instead of p in every step: for networks that are slow
// when all send at once.
//
//   steps  2 ceil(log2 p)
//   bytes  n up, and ceil(log2 p) * n down from rank 0
//   time   ceil(log2 p) * (2 alpha + 2 n*beta + n*gamma)
//   needs  any p >= 1, any count
//   order  a balanced tree over the ranks, summed once: the same bits on every rank
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005.
#include "collectives/algorithms/table.hpp"

namespace lockstep {

extern const Algorithm reduce_binomial, broadcast_binomial;

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  return reduce_binomial.seconds(group, n, links) + broadcast_binomial.seconds(group, n, links);
}

void run(Transport& net, const Call& call) {
  reduce_binomial.run(net, reduce_call(call.out, call.in, call.op, 0, net.size()));
  broadcast_binomial.run(net, broadcast_call(call.out, 0, net.size()));
}

}  // namespace

extern const Algorithm all_reduce_binomial{Collective::all_reduce, "native/binomial", run, seconds};

}  // namespace lockstep
