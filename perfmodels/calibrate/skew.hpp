// SPDX-License-Identifier: Apache-2.0
// How far ranks that compute the same drift apart: products, activations and copies in memory in
// equal slices, all ranks at once, and of each window of 1, 4, 16 ... slices how much longer the
// slowest rank took than the average one. What a step waits for before its collectives begin.
//
// Longer windows, up to some seconds, are of all visits of kernels that follow each other: a core
// beside a busy one stays slow for that long, and what it costs grows with the window, where chance
// averages out.
//
// Mostly it is little, and at times, where others use the machine, much: several items take their
// turns in every round. The value is the median of all, low and high are what 90 % of them lie
// between, not the interval of the median: what a step may meet.
#pragma once

#include "perfmodels/calibrate/extent.hpp"
#include "perfmodels/calibrate/sampler.hpp"
#include "perfmodels/machine/machine.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

// Windows of so many seconds, one after the other, of what this rank and the average one took.
struct Window {
  double own = 0, average = 0;
};
std::vector<Window> windows_of(const std::vector<double>& own, const std::vector<double>& average,
                               double seconds);

class SkewCalibration {
 public:
  SkewCalibration(const Context& context, Sampler& sampler, Device& device, const Extent& extent);
  SkewProfile profile() const;  // collective

 private:
  std::vector<double> samples(std::size_t series) const;
  void add_long_windows(std::vector<Point>& points) const;

  const Context& context_;
  Sampler& sampler_;
  int ranks_;
  std::size_t levels_;
  std::vector<std::size_t> items_;
};

}  // namespace lockstep
