// SPDX-License-Identifier: Apache-2.0
// All-gather by Bruck: in step k every rank passes all it has to the one 2^k behind. The fewest
// steps for any p; what arrives is in the order of the ranks from this one on, and is turned into
// place at the end, which costs a copy of the vector.
//
//   steps  ceil(log2 p)
//   bytes  (p-1)/p * n    sent per rank; no algorithm sends fewer
//   time   ceil(log2 p)*alpha + (p-1)/p * n*beta
//   needs  any p >= 1, any count, any blocks; with near-equal blocks the time is as above
//
// J. Bruck, C.-T. Ho, S. Kipnis, E. Upfal, D. Weathersby, IEEE TPDS 8(11), 1997.
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
  const Blocks& blocks = call.blocks;
  const int p = net.size(), me = net.rank();
  const std::size_t n = call.out.count, mine = blocks[me].begin;
  const Elements turned = net.scratch(n, call.out.dtype);
  // The blocks me .. me+j-1 lie before this index.
  auto length = [&](int j) {
    return me + j < p ? blocks[me + j].begin - mine
                      : n - mine + (j < p ? blocks[me + j].begin : mine);
  };

  net.copy(turned.first(length(1)), call.in);
  for (int have = 1; have < p; have *= 2) {
    const int more = std::min(have, p - have);
    net.exchange(turned.first(length(more)), (me + p - have) % p,
                 turned.subspan(length(have), length(have + more) - length(have)), (me + have) % p);
  }
  net.copy(call.out.subspan(mine, n - mine), turned.first(n - mine));
  net.copy(call.out.first(mine), turned.subspan(n - mine, mine));
}

}  // namespace

extern const Algorithm all_gather_bruck{Collective::all_gather, "native/bruck", run, seconds};

}  // namespace lockstep
