// SPDX-License-Identifier: Apache-2.0
// What computing and communicating at once costs each of them: products and streaming kernels on
// the compute stream, now and then an all-reduce on the communication stream behind them, as a step
// has them. Each of the two is timed alone and beside the other. Where both share a core, the
// all-reduce first waits for it: sums of two sizes tell the delay from the slowdown.
#pragma once

#include "collectives/communicator.hpp"
#include "perfmodels/calibrate/sampler.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// Large sums of so many float32 beside products so wide, which take so many seconds: more than a
// large sum beside them.
struct Overlapped {
  std::int64_t elements = 0, width = 0;
  double seconds = 0;
};

class OverlapCalibration {
 public:
  // The communicator's device must have a communication worker, or there is no overlap to measure.
  OverlapCalibration(Sampler& sampler, const Communicator& world, Device& device,
                     const Overlapped& of);
  OverlapProfile profile() const;

 private:
  Sampler& sampler_;
  std::size_t item_;
  bool apart_;  // a GPU's streams, not threads of a core
};

}  // namespace lockstep
