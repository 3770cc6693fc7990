// SPDX-License-Identifier: Apache-2.0
// All-reduce over one ring in segments: each block travels as k segments of at most 64 KiB, and the
// next segment is under way while the present one is added. Behind the first segment the reduction
// costs nothing where adding is faster than sending.
//
//   steps  2(p-1)*k, with k = ceil(n/p / 64 KiB)
//   bytes  2(p-1)/p * n   sent per rank; no algorithm sends fewer
//   time   with t = alpha + n/(pk)*beta per segment sent and g = n/(pk)*gamma per segment added:
//          (p-1)*k*(t + max(t, g)) + g, about; the ring's time where k = 1
//   needs  any p >= 1, any count
//   order  each block is summed once, around the ring: the same bits on every rank
//
// P. Patarasuk, X. Yuan, JPDC 69(2), 2009; segments as in Open MPI's coll/tuned.
#include <algorithm>

#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double n, const Links& links) {
  const int p = group.ranks;
  const Link& link = links.of(group);
  const int k = num_segments(n / p), laps = (p - 1) * k;
  const double sent = link.alpha + n / p / k * link.beta, added = n / p / k * link.gamma;
  if (k == 1) return 2 * laps * sent + laps * added;
  return p == 1 ? 0 : laps * (sent + std::max(sent, added)) + added;
}

void run(Transport& net, const Call& call) {
  const Elements& data = call.out;
  net.copy(data, call.in);
  const int p = net.size(), me = net.rank();
  const int next = (me + 1) % p, prev = (me + p - 1) % p;
  const std::size_t most = call.blocks.largest();
  const int k = num_segments(static_cast<double>(most * size_of(data.dtype)));
  const int steps = 2 * (p - 1) * k, lap = (p - 1) * k;
  // The i-th segment sent; the i-th received is that of one block before.
  auto segment = [&](int i, int behind) {
    const Elements block = call.block(data, me - i / k - behind);
    return block.at(block_bounds(block.count, k, i % k));
  };
  const Elements slots = net.scratch(2 * (most / static_cast<std::size_t>(k) + 1), data.dtype);
  // Sums of the first lap come to one of two slots, complete blocks of the second to their place.
  auto incoming = [&](int i) {
    const Elements target = segment(i, 1);
    if (i >= lap) return target;
    return slots.subspan(i % 2 == 0 ? 0 : slots.count / 2, target.count);
  };
  Ticket posted[2] = {};
  auto post = [&](int i) {
    net.post_receive(incoming(i), prev);
    posted[i % 2] = net.post_send(segment(i, 0), next);
  };
  auto absorb = [&](int i) {
    net.complete(posted[i % 2]);
    if (i < lap) net.combine(segment(i, 1), segment(i, 1), incoming(i), call.op);
  };

  // What is sent at i was received at i-k: with one segment per block nothing can be ahead.
  const int ahead = k > 1 ? 1 : 0;
  for (int i = 0; i < steps + ahead; ++i) {
    if (i < steps) post(i);
    if (i >= ahead) absorb(i - ahead);
  }
}

}  // namespace

extern const Algorithm all_reduce_segmented_ring{Collective::all_reduce, "native/segmented_ring",
                                                 run, seconds};

}  // namespace lockstep
