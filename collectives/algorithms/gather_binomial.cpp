// SPDX-License-Identifier: Apache-2.0
// Gather along a binomial tree over ranges of ranks: the scatter backwards. Who stands for a range
// collects its blocks and sends them on as one.
//
//   steps  ceil(log2 p)
//   bytes  (p-1)/p * n    received by the root
//   time   ceil(log2 p)*alpha + (p-1)/p * n*beta
//   needs  any p >= 1, any count, any root, any blocks; with near-equal blocks the time is as above
//
// R. Thakur, R. Rabenseifner, W. Gropp, IJHPCA 19(1), 2005; ranges in place of a rotation: ours.
#include <algorithm>

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
  std::vector<Handover> overs = handovers(net.size(), call.root, me);
  if (me != call.root && overs.size() == 1) return net.send(call.in, overs[0].holder);  // a leaf

  // The blocks this rank stands for: all at the root, else what its first handover names.
  const Block range = me == call.root ? Block{0, call.blocks.total()}
                                      : blocks_between(call.blocks, overs[0].first, overs[0].last);
  const Elements held = me == call.root ? call.out : net.scratch(range.count, call.in.dtype);
  auto part = [&](const Block& block) {
    return held.subspan(block.begin - range.begin, block.count);
  };
  net.copy(part(call.blocks[me]), call.in);
  std::reverse(overs.begin(), overs.end());
  for (const Handover& over : overs) {
    const Elements blocks = part(blocks_between(call.blocks, over.first, over.last));
    if (over.holder == me) {
      net.receive(blocks, over.taker);
    } else {
      net.send(blocks, over.holder);
    }
  }
}

}  // namespace

extern const Algorithm gather_binomial{Collective::gather, "native/binomial", run, seconds};

}  // namespace lockstep
