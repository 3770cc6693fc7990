// SPDX-License-Identifier: Apache-2.0
// Scatter along a binomial tree over ranges of ranks: whoever holds the blocks of a range hands
// half of them over, until each has its own.
//
//   steps  ceil(log2 p)
//   bytes  (p-1)/p * n    sent by the root
//   time   ceil(log2 p)*alpha + (p-1)/p * n*beta
//   needs  any p >= 1, any count, any root, any blocks; with near-equal blocks the time is as above
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005; ranges in place of a rotation: ours.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  return ceil_log2(p) * link.alpha + n * (p - 1) / p * link.beta;
}

void run(Transport& net, const Call& call) {
  const int me = net.rank();
  Elements held = call.in;  // the blocks this rank stands for, from index `origin` on
  std::size_t origin = 0;
  for (const Handover& over : handovers(net.size(), call.root, me)) {
    const Block part = blocks_between(call.blocks, over.first, over.last);
    if (over.holder == me) {
      net.send(held.subspan(part.begin - origin, part.count), over.taker);
      continue;
    }
    const bool leaf = over.last - over.first == 1;
    held = leaf ? call.out : net.scratch(part.count, call.out.dtype);
    origin = part.begin;
    net.receive(held, over.holder);
  }
  const Block own = call.blocks[me];
  net.copy(call.out, held.subspan(own.begin - origin, own.count));
}

}  // namespace

extern const Algorithm scatter_binomial{Collective::scatter, "native/binomial", run, seconds};

}  // namespace lockstep
