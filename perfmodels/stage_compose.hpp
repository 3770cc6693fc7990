// SPDX-License-Identifier: Apache-2.0
// All stages of a pipeline step as items to be replayed: each put together from the passes of its
// role in the order of its schedule, and joined where they wait for each other.
//
//   message      the k-th from a to b is the k-th that b receives from a; on devices that compute
//   and
//                communicate apart ("cuda") messages have a queue of their own, and receiving takes
//                none: a pass waits for its message alone
//   awaited      messages of a software that computes nothing meanwhile (exchanges.hpp): apart, and
//                between two rounds of passes items without seconds post and wait for them
//   collective   of ranks of several stages: the k-th of its name on each of them
#pragma once

#include <utility>

#include "perfmodels/message_time.hpp"
#include "perfmodels/stage_replay.hpp"
#include "perfmodels/stage_segments.hpp"

namespace lockstep {

// Where an action lies among the items of its stage.
struct ActionItems {
  Action action{};
  int first = 0, end = 0;  // kernels of a pass
  int message = -1;        // communication item; of a message apart: its number among joints
};

struct ComposedStage {
  std::vector<Figure> compute{}, communication{}, messages{};  // seconds of the items
  std::vector<const Operation*> operations{};                  // of the communication items
  std::vector<ActionItems> actions{};
  StageItems items{};  // with the middle of the seconds
  // Kernels that need what an action receives apart, that let an awaited message begin, and that
  // wait until such a message has been sent (an item).
  std::vector<std::pair<int, int>> waiting{}, posting{}, sending{};
  KernelTotals kernels{};
};

struct ComposedStep {
  std::vector<ComposedStage> stages{};
  std::vector<Joint> joints{};
  std::vector<int> places{};  // of messages apart: item of the sender
  bool apart = false;
};

// `roles` as record.role(i). What `record` and `roles` hold stays.
ComposedStep compose(const StepRecord& record, const std::vector<StageSegments>& roles,
                     const Machine& machine);

}  // namespace lockstep
