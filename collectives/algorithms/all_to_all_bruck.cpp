// SPDX-License-Identifier: Apache-2.0
// All-to-all by Bruck: a block that has d ranks to go travels by the bits of d, so in step k every
// rank sends all blocks whose bit k is set to the one 2^k ahead. Few steps for short vectors; each
// block is sent (and copied, to be packed) as often as d has bits.
//
//   steps  ceil(log2 p)
//   bytes  n/p * (bits set in 1 .. p-1), which is log2(p)/2 * n for powers of two
//   time   ceil(log2 p)*alpha + bytes*beta
//   needs  any p >= 1 that divides the count
//
// J. Bruck, C.-T. Ho, S. Kipnis, E. Upfal, D. Weathersby, IEEE TPDS 8(11), 1997.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  int sent = 0;
  for (int d = 1; d < p; ++d)
    sent += std::popcount(static_cast<unsigned>(d));
  return ceil_log2(p) * link.alpha + n / p * sent * link.beta;
}

void run(Transport& net, const Call& call) {
  const int p = net.size(), me = net.rank();
  const std::size_t n = call.in.count, size = n / static_cast<std::size_t>(p);
  const Elements scratch = net.scratch(3 * n, call.in.dtype);
  const Elements outgoing = scratch.subspan(n, n), incoming = scratch.subspan(2 * n, n);
  // Block d has d ranks to go, or has come from d ranks behind.
  auto block = [&](const Elements& of, int i) {
    return of.subspan(static_cast<std::size_t>(i) * size, size);
  };

  for (int d = 0; d < p; ++d)
    net.copy(block(scratch, d), call.block(call.in, me + d));
  for (int bit = 1; bit < p; bit *= 2) {
    int packed = 0, unpacked = 0;
    for (int d = bit; d < p; ++d)
      if (d & bit) net.copy(block(outgoing, packed++), block(scratch, d));
    const std::size_t sent = static_cast<std::size_t>(packed) * size;
    net.exchange(outgoing.first(sent), (me + bit) % p, incoming.first(sent), (me + p - bit) % p);
    for (int d = bit; d < p; ++d)
      if (d & bit) net.copy(block(scratch, d), block(incoming, unpacked++));
  }
  for (int d = 0; d < p; ++d)
    net.copy(call.block(call.out, me - d), block(scratch, d));
}

}  // namespace

extern const Algorithm all_to_all_bruck{Collective::all_to_all, "native/bruck", run, seconds};

}  // namespace lockstep
