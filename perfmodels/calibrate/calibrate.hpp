// SPDX-License-Identifier: Apache-2.0
// Measures a machine profile with the ranks that there are: compute curves on all of them at once,
// links, local steps of collectives, every candidate of every collective, overlap. One rank
// measures what it computes, and nothing else.
#pragma once

#include <string>
#include <vector>

#include "perfmodels/calibrate/extent.hpp"
#include "perfmodels/calibrate/piecewise.hpp"
#include "perfmodels/calibrate/states.hpp"
#include "perfmodels/machine/machine.hpp"
#include "runtime/context/context.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

struct LinkFit {
  std::string level;
  double median_error = 0, worst_error = 0;  // of the segments, at the measured points
};

struct Calibration {
  Machine machine;
  std::vector<LinkFit> fits;
  std::vector<MachineState> states;   // by how long ranks take to meet; figures are of the first
  std::vector<std::string> left_out;  // what did not fit into the time
  double seconds = 0;
  std::size_t measurements = 0, samples = 0;
  int outliers = 0;  // kept: medians do not mind them
};

// Collective; the same on all ranks. Takes about extent.seconds. `threads` is what each rank
// computes with (set_threads).
Calibration calibrate(const Context& context, const Extent& extent, int threads);

// A GPU of each rank: what it computes in float32 and, where it can, in bfloat16, by its events,
// and what ranks send each other from its memory: by NCCL where each has one of its own, else as
// jobs then send it, by MPI through the host. `extent` is of GPUs (on_gpus).
struct MeasuredGpu {
  Device& device;
  std::string name;
  double memory_bytes = 0;
  bool bfloat16 = true;
};
Calibration calibrate(const Context& context, const Extent& extent, int threads,
                      const MeasuredGpu& gpu);

}  // namespace lockstep
