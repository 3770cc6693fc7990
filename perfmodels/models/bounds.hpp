// SPDX-License-Identifier: Apache-2.0
// What no algorithm over messages does in less, on ranks with one port each way: the information
// must spread, the bytes must pass a port, and each element must be reduced somewhere. The three
// cannot all be reached at once; ranks that share memory, and switches that reduce, do not obey.
//
//                                latency    bandwidth        computing
//   all_reduce                   lg p       2(p-1)/p n       (p-1)/p n
//   reduce_scatter               lg p       (p-1)/p n        (p-1)/p n
//   all_gather, all_to_all       lg p       (p-1)/p n
//   gather, scatter              lg p       (p-1)/p n
//   broadcast                    lg p       n
//   reduce                       lg p       n                (p-1)/p n
//   barrier                      lg p
//
// E. Chan, M. Heimlich, A. Purkayastha, R. van de Geijn, CCPE 19(13), 2007.
#pragma once

#include "collectives/links.hpp"

namespace lockstep {

struct Bound {
  double latency = 0, bandwidth = 0, computing = 0;  // seconds
  double seconds() const;                            // the largest: what holds for certain
};

Bound lower_bound(Collective what, int p, double n, const Link& link);

}  // namespace lockstep
