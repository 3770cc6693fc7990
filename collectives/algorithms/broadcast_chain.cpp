// SPDX-License-Identifier: Apache-2.0
// Broadcast along a chain from the root, in segments: a rank sends one segment on while it receives
// the next. For long vectors: every rank sends the vector once, whatever p.
//
//   steps  p-2+k, with k = ceil(n / 64 KiB) segments
//   bytes  n    sent per rank but the last
//   time   (p-2+k) * (alpha + n/k * beta)
//   needs  any p >= 1, any count, any root
//
// J. Pjesivac-Grbovic et al., Cluster Computing 10(2), 2007.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  if (group.ranks == 1) return 0;
  const Link& link = links.of(group);
  const int k = num_segments(n);
  return (group.ranks - 2 + k) * (link.alpha + n / k * link.beta);
}

void run(Transport& net, const Call& call) {
  const int p = net.size(), me = net.rank();
  const int place = (me - call.root + p) % p;
  const int next = (me + 1) % p, prev = (me + p - 1) % p;
  const bool first = place == 0, last = place == p - 1;
  const int k = num_segments(static_cast<double>(call.out.bytes()));
  auto segment = [&](int i) { return call.out.at(block_bounds(call.out.count, k, i)); };

  Ticket coming = first ? 0 : net.post_receive(segment(0), prev);
  for (int i = 0; i < k; ++i) {
    const Ticket here = coming;
    if (!first && i + 1 < k) coming = net.post_receive(segment(i + 1), prev);
    net.complete(here);
    if (!last) net.post_send(segment(i), next);
  }
  net.complete();
}

}  // namespace

extern const Algorithm broadcast_chain{Collective::broadcast, "native/chain", run, seconds};

}  // namespace lockstep
