// SPDX-License-Identifier: Apache-2.0
// Every valid layout of a job on so many ranks, priced: mesh degrees x micro-batch x ZeRO x
// recomputation, with tensor > 1 x sequence parallelism, with pipeline > 1 x schedule x chunks.
// What is not valid, or what the job's software cannot run (software.hpp), is counted by its
// reason, what does not fit into the memory of a device is rejected.
//
// Layouts that only cut the batch are priced exactly, x bucket size x algorithm x compression; the
// others from recordings of one and two blocks (plan_price.hpp). Cost of the first: a step of at
// most two micro-batches is recorded once per (degrees, micro-batch, bucket, compression); its
// kernels are priced once and joined to runs between the edges of the recording, so that a layout
// costs a replay of a few dozen records: microseconds. A step of more micro-batches is longer by
// what each takes, in which nothing is communicated.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "perfmodels/layout.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

struct PricedLayout {
  Layout layout{};
  double seconds = 0;       // of a step; this and all below 0 where memory is too small
  double compute = 0;       // kernels of the compute stream, alone
  double exposed = 0;       // communication that nothing hides
  double waiting = 0;       // until the last rank is there
  double hidden = 0;        // behind computation
  double bubble = 0;        // of the pipeline
  double overlap_loss = 0;  // computation is slower beside communication
  double memory_bytes = 0;
  bool fits = true;
  std::string reason{};  // why it does not fit, or what it loses against the best
};

struct Plan {
  // Those that fit first, the fastest first; then those that lack least memory.
  std::vector<PricedLayout> layouts{};
  std::map<std::string, int> left_out{};  // layouts that are not valid, by the reason
  int recordings = 0;
  double seconds_per_layout = 0;  // that planning took
  std::size_t num_fitting = 0;
};

// What may vary beside degrees and micro-batch.
struct PlanChoices {
  std::vector<double> bucket_mb = {1, 4, 16, 64, 256};  // and the job's own; up to all gradients
  std::vector<std::string> compressions{};              // empty: the job's own; others change sums
  std::vector<std::string> keep{};                      // keys that stay as the job has them
};

// Degrees whose product is `ranks`.
std::vector<MeshDegrees> degrees_for(int ranks);

// ConfigError where no layout is valid (and why), or the profile lacks what prices need.
Plan plan(const JobConfig& job, int ranks, const Machine& machine, const PlanChoices& choices = {});

}  // namespace lockstep
