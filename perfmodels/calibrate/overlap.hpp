// SPDX-License-Identifier: Apache-2.0
// What computing and communicating at once costs each of them: products and streaming kernels on
// the compute stream, all-reduces on the communication stream behind them. Each of the two is timed
// alone, and while the other one is at work all the time.
#pragma once

#include "collectives/communicator.hpp"
#include "perfmodels/calibrate/sampler.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

class OverlapCalibration {
 public:
  // The communicator's device must have a communication worker, or there is no overlap to measure.
  // All-reduces are of so many float32.
  OverlapCalibration(Sampler& sampler, const Communicator& world, Device& device,
                     std::int64_t elements);
  OverlapProfile profile() const;

 private:
  Sampler& sampler_;
  std::size_t item_;
};

}  // namespace lockstep
