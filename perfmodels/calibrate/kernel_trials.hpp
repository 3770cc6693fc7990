// SPDX-License-Identifier: Apache-2.0
// What a device computes, timed: by the host's clock on CPUs, by events on a GPU.
#pragma once

#include <memory>

#include "perfmodels/calibrate/extent.hpp"
#include "perfmodels/calibrate/kernel_runs.hpp"
#include "perfmodels/calibrate/sampler.hpp"

namespace lockstep {

// Launches of one kernel on several sets of tensors in turn, which prepare() makes; of `bytes`
// each.
std::unique_ptr<Trial> kernel_trial(Device& device, const std::function<Launch()>& prepare,
                                    double bytes, Found found, const InTurn& in_turn);

// FLOP/s as seconds per FLOP, so that the mean over ranks is one of costs.
std::unique_ptr<Trial> peak_trial(Device& device);

// An output tensor is made and one element of it is written: what every kernel of a CPU costs
// besides its work.
std::unique_ptr<Trial> launch_trial(Device& device);

}  // namespace lockstep
