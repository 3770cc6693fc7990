// SPDX-License-Identifier: Apache-2.0
// What NCCL expects of its own algorithms, where nobody has measured them: for each protocol a
// latency and a bandwidth, of which it takes the least time for the bytes, as we do here.
//
//   ring   (p-1) steps, all_reduce 2(p-1), some of them between nodes; (p-1)/p n bytes or twice
//          that at B, the rate of the ring
//   tree   all_reduce: up and down the ranks of a node and log2 of the nodes; 2n bytes, at less
//
// A ring has as many channels as the group has network ports, one port for each, and all of them
// run through all GPUs of a node: B is the lesser of what a GPU sends inside its node and what all
// these ports send. One ring through one port, as ours is, takes that many times longer. Of
// messages (all_to_all, gather, scatter) the bytes of the busiest rank count.
//
// Constants: NVIDIA/nccl 2.12, src/graph/tuning.cc (baseLat, hwLat, the shares of protocols) for
// NVLink and networks; left out: limits of single channels and corrections of trees, for which
// the limit that it states for the A100 stands, as a share of that one's rate.
#pragma once

#include "collectives/call.hpp"
#include "collectives/links.hpp"

namespace lockstep {

struct NcclNetwork {
  double inside = 0, across = 0;  // bytes/s: of a GPU in its node, of one port to others
  double ports_per_gpu = 1;       // to other nodes
};

// Of the group's ranks, a GPU each, as many on each node; n bytes of the full vector.
double nccl_seconds(Collective what, double n, const GroupShape& group, const NcclNetwork& net);

}  // namespace lockstep
