// SPDX-License-Identifier: Apache-2.0
// Work and depth of a recorded step (Blelloch, CACM 39(3), 1996), and Brent's bounds.
//
//   work W   operations of all kernels: their FLOPs
//   depth D  operations on the longest chain of dependencies, with as many processors as one likes
//   W/D      parallelism: up to so many processors, each is busy at least half of the time
//   T_p      max(W/p, D) <= T_p <= (W - D)/p + D        Brent, JACM 21(2), 1974
//
// Chains are those that the program has: kernels of one stream one after another, and a stream that
// waits for the other. Inside a kernel the textbook's tree: a product over k terms has depth
// 1 + log2 k, other kernels the operations per element plus log2 of the elements (a bound: only
// some of them reduce).
#pragma once

#include <functional>

#include "runtime/device/recording.hpp"

namespace lockstep {

struct WorkDepth {
  double work = 0, depth = 0;

  double parallelism() const { return depth > 0 ? work / depth : 0; }
  double least(double p) const;  // of T_p
  double most(double p) const;
};

// Of one kernel or collective.
WorkDepth work_depth_of(const Operation& operation);

// Of a recording, whose records depend on the one before in their stream and on `after`. With
// another cost per operation, such as seconds, it is the critical path in that measure.
WorkDepth work_depth_of(const Recording& recording,
                        const std::function<WorkDepth(const Operation&)>& cost = {});

}  // namespace lockstep
