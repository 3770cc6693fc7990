// SPDX-License-Identifier: Apache-2.0
// Every algorithm of every collective. The selector, the tests, the benchmark and the performance
// models walk these tables. An algorithm is one file of this folder, declared here and entered
// below: a function against Transport, and what it costs.
//
//   p ranks; n bytes of the full vector (of all shards together, where there are shards)
#pragma once

#include <string_view>

#include "collectives/link.hpp"
#include "collectives/transport.hpp"

namespace lockstep {

using Seconds = double(int p, double n, const Link& link);

using AllReduce = void(Transport& net, const Elements& data, ReduceOp op);
using ReduceScatter = void(Transport& net, const Elements& shard, const Elements& full,
                           ReduceOp op);
using AllGather = void(Transport& net, const Elements& full, const Elements& shard);
using Broadcast = void(Transport& net, const Elements& data, int root);
using Barrier = void(Transport& net);

AllReduce all_reduce_ring, all_reduce_recursive_doubling;
ReduceScatter reduce_scatter_ring;
AllGather all_gather_ring;
Broadcast broadcast_binomial;
Barrier barrier_dissemination;

Seconds all_reduce_ring_seconds, all_reduce_recursive_doubling_seconds;
Seconds reduce_scatter_ring_seconds;
Seconds all_gather_ring_seconds;
Seconds broadcast_binomial_seconds;
Seconds barrier_dissemination_seconds;

template <class Run>
struct Algorithm {
  const char* label;  // "native/NAME", as recordings show it
  Run* run;
  Seconds* seconds;

  constexpr std::string_view name() const {
    const std::string_view text = label;
    return text.substr(text.find('/') + 1);
  }
};

inline constexpr Algorithm<AllReduce> kAllReduceAlgorithms[] = {
    {"native/ring", all_reduce_ring, all_reduce_ring_seconds},
    {"native/recursive_doubling", all_reduce_recursive_doubling,
     all_reduce_recursive_doubling_seconds},
};

inline constexpr Algorithm<ReduceScatter> kReduceScatterAlgorithms[] = {
    {"native/ring", reduce_scatter_ring, reduce_scatter_ring_seconds},
};

inline constexpr Algorithm<AllGather> kAllGatherAlgorithms[] = {
    {"native/ring", all_gather_ring, all_gather_ring_seconds},
};

inline constexpr Algorithm<Broadcast> kBroadcastAlgorithms[] = {
    {"native/binomial", broadcast_binomial, broadcast_binomial_seconds},
};

inline constexpr Algorithm<Barrier> kBarrierAlgorithms[] = {
    {"native/dissemination", barrier_dissemination, barrier_dissemination_seconds},
};

}  // namespace lockstep
