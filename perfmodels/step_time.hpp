// SPDX-License-Identifier: Apache-2.0
// What a step of a job takes on a machine, before it runs: the recording of one rank, each record
// priced (operation_time.hpp) and replayed with its streams and edges (replay.hpp). Of a pipeline,
// all stages are replayed together (pipeline_time.cpp).
//
//   interval   90 %: the figures of the profile move together, as the machine's state does; what
//              that drifted by between rounds of the calibration comes on top; errors of
//              interpolation are those of a kind of kernels alike
//   in range   at least 95 % of the time of its operations lie between points that were measured
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "parallelism/pipeline/gantt.hpp"
#include "perfmodels/guesses.hpp"
#include "perfmodels/machine/machine.hpp"
#include "perfmodels/operation_time.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/step_replay.hpp"

namespace lockstep {

struct CommunicationSeconds {
  double exposed = 0, hidden = 0;  // while computation waits, while it does not
};

// Parts of the step, of a pipeline the mean over its stages; all but `hidden`, `recompute` and
// `overlap_loss` add up to it.
struct Breakdown {
  double gemm = 0, attention = 0, streaming = 0;  // of forward and backward
  double optimizer = 0;                           // the phase "update"
  double data = 0;                                // batches to the device
  double launch = 0;
  double exposed = 0;  // communication, of all axes, from when the last rank is there
  Figure waiting{};    // until then, of the average rank (skew.hpp); what 90 % of the steps see
  double bubble = 0;   // a stage waits for another
  double hidden = 0;
  double recompute = 0;     // forward passes that backward repeats, contained in the first parts
  double overlap_loss = 0;  // of computing beside communication, contained in the first parts
  std::map<std::string, CommunicationSeconds> axes{};
};

// Of the step, what one stage of a pipeline does.
struct StageShare {
  double computing = 0, exposed = 0, bubble = 0;  // seconds
};

struct StepPrediction {
  double seconds = 0, low = 0, high = 0;  // low and high: 0 where the profile has no intervals
  bool in_range = false;
  double tokens_per_second = 0;
  double mfu = 0;  // FLOPs of the model against the peak
  double hfu = 0;  // those that are computed again in backward, too
  Breakdown breakdown{};
  MemoryStats memory{};  // of the stage that needs most
  int memory_stage = 0;
  std::vector<StageShare> stages{};  // of a pipeline
  std::vector<GanttSpan> passes{};   // of all stages, with their messages
  std::vector<Guess> guessed{};
  // The recording with its predicted times; of a pipeline that of the first stage, its passes and
  // communications only.
  std::unique_ptr<Recording> timeline{};

  bool has_interval() const { return high > low; }
};

StepPrediction predict_step(const StepRecord& record, const Machine& machine);

}  // namespace lockstep
