// SPDX-License-Identifier: Apache-2.0
// When each action of a schedule would run, from the times of its passes and messages.
//
// A stage computes in order. Its messages go through one queue, in order too, while it computes: a
// message is handed to the queue where it stands in the schedule, begins when it is at the head of
// the queues of both ends, and holds both until it has arrived. A pass waits for what it receives.
// Without messages in the schedule, what a pass needs arrives `message` seconds after it was made.
//
// Cost: O(actions); 64 stages x 512 micro-batches take some milliseconds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "parallelism/pipeline/schedule.hpp"

namespace lockstep {

struct StageTimes {
  double forward = 1, backward_input = 1, backward_weight = 1;  // seconds
};

enum class MessageQueue : std::uint8_t {
  messages_only,  // passes overtake messages that they do not wait for
  shared,         // passes communicate through it too: each waits for all messages before it
};

// When a pass has ended, and when its message may be thought to leave at full speed.
struct PassEnd {
  double end = 0, sends = 0;
};

struct ScheduleTimes {
  std::vector<StageTimes> parts = {{}};  // by part of the model (part_of); one: the same for all
  double message = 0;                    // seconds of each,
  std::vector<double> messages{};        // or of those between stage s and the next one
  MessageQueue queue = MessageQueue::messages_only;
  double until = 0;  // of a pass, before it communicates
  // Of a pass that may begin at `begin`, on a stage that is `free` before; none: its seconds later.
  // Asked in the order of each stage.
  std::function<PassEnd(int stage, const Action& pass, double free, double begin)> ends{};

  double message_between(int a, int b) const {
    if (messages.empty()) return message;
    const int stages = static_cast<int>(messages.size());
    return messages[static_cast<std::size_t>((a + 1) % stages == b ? a : b)];
  }
};

struct ActionTime {
  double begin = 0, end = 0;
};

struct SimulatedSchedule {
  std::vector<std::vector<ActionTime>> stages;  // as the actions of the schedule
  std::vector<double> busy;                     // seconds that each stage computes
  double makespan = 0;

  double idle_share(int stage) const {
    return 1 - busy[static_cast<std::size_t>(stage)] / makespan;
  }
};

// Of a schedule that check accepts; LogicError if it never ends.
SimulatedSchedule simulate_schedule(const PipelineSchedule& schedule, const ScheduleTimes& times);

// Why it never ends, if every message is a rendezvous and everything of a stage waits for all that
// stands before it: the most that a shared queue can make it wait. Names the first stage that
// waits.
std::optional<ScheduleFault> find_deadlock(const PipelineSchedule& schedule);

}  // namespace lockstep
