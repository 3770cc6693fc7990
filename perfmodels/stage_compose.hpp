// SPDX-License-Identifier: Apache-2.0
// All stages of a pipeline step as items to be replayed: each put together from the passes of its
// role in the order of its schedule, and joined where they wait for each other.
//
//   message      the k-th from a to b is the k-th that b receives from a
//   collective   of ranks of several stages: the k-th of its name on each of them
#pragma once

#include "perfmodels/message_time.hpp"
#include "perfmodels/stage_replay.hpp"
#include "perfmodels/stage_segments.hpp"

namespace lockstep {

// Where an action lies among the items of its stage.
struct ActionItems {
  Action action{};
  int first = 0, end = 0;  // kernels of a pass
  int message = -1;        // communication item
};

struct ComposedStage {
  std::vector<Figure> compute{}, communication{};  // seconds of the items
  std::vector<const Operation*> operations{};      // of the communication items
  std::vector<ActionItems> actions{};
  StageItems items{};  // with the middle of the seconds
  KernelTotals kernels{};
};

struct ComposedStep {
  std::vector<ComposedStage> stages{};
  std::vector<Joint> joints{};
};

// `roles` as record.role(i). What `record` and `roles` hold stays.
ComposedStep compose(const StepRecord& record, const std::vector<StageSegments>& roles,
                     const Machine& machine);

}  // namespace lockstep
