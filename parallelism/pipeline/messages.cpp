// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/messages.hpp"

#include <algorithm>

#include "parallelism/pipeline/simulate.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

struct Message {
  double made = 0;
  int rank_in_time = 0;  // among those made at the same time
  PlacedAction send{};

  bool operator<(const Message& other) const {
    return made != other.made ? made < other.made : rank_in_time < other.rank_in_time;
  }
};

// Ring boundary s is between stages s and s+1, the last one between the last stage and the first.
// No two boundaries of one colour share a stage; P odd needs a third colour for the last one.
int rank_in_time(const PlacedAction& send, int receiver, int num_stages) {
  const bool gradient = send.action.kind == ActionKind::send_gradient;
  const int boundary = gradient ? receiver : send.stage;
  const int colour = boundary == num_stages - 1 && num_stages % 2 == 1 ? 2 : boundary % 2;
  return (colour * 2 + (gradient ? 0 : 1)) * num_stages + boundary;
}

void append_message(std::vector<Message>& messages, const PipelineShape& shape, int stage,
                    const Action& pass, double made) {
  const int part = part_of(stage, pass.chunk, shape);
  const bool forward = pass.kind == ActionKind::forward;
  if (!forward && pass.kind != ActionKind::backward_input) return;
  if (part == (forward ? shape.parts() - 1 : 0)) return;

  const ActionKind kind = forward ? ActionKind::send_activation : ActionKind::send_gradient;
  const PlacedAction send{stage, {kind, pass.micro_batch, pass.chunk}};
  const PlacedAction receive = other_end(send, shape);
  if (receive.stage == stage) return;
  messages.push_back({made, rank_in_time(send, receive.stage, shape.stages), send});
}

// All messages, in their global order.
std::vector<Message> messages_of(const PipelineSchedule& schedule,
                                 const std::vector<std::vector<ActionTime>>& times) {
  std::vector<Message> messages;
  for (std::size_t s = 0; s < times.size(); ++s) {
    for (std::size_t i = 0; i < times[s].size(); ++i) {
      append_message(messages, schedule.shape, static_cast<int>(s), schedule.stages[s][i],
                     times[s][i].end);
    }
  }
  std::sort(messages.begin(), messages.end());
  return messages;
}

struct TimedMessage {
  double made = 0;
  Action action{};
};

// A message stands before the first pass that starts when it has been made, or later.
std::vector<Action> merged(const std::vector<Action>& passes, const std::vector<ActionTime>& times,
                           const std::vector<TimedMessage>& messages) {
  std::vector<Action> all;
  all.reserve(passes.size() + messages.size());
  auto message = messages.begin();
  for (std::size_t i = 0; i < passes.size(); ++i) {
    for (; message != messages.end() && message->made <= times[i].begin; ++message)
      all.push_back(message->action);
    all.push_back(passes[i]);
  }
  for (; message != messages.end(); ++message)
    all.push_back(message->action);
  return all;
}

}  // namespace

PipelineSchedule with_messages(const PipelineSchedule& schedule, const ScheduleTimes& assumed) {
  for (const StageTimes& times : assumed.parts) {
    expect(times.forward > 0 && times.backward_input > 0,
           "messages are ordered by times above 0 of the passes that make them");
  }
  const auto times = simulate_schedule(schedule, assumed).stages;
  std::vector<std::vector<TimedMessage>> by_stage(times.size());
  for (const Message& message : messages_of(schedule, times)) {
    for (const PlacedAction& end : {message.send, other_end(message.send, schedule.shape)})
      by_stage[static_cast<std::size_t>(end.stage)].push_back({message.made, end.action});
  }

  PipelineSchedule complete{schedule.name, schedule.shape, {}};
  for (std::size_t s = 0; s < times.size(); ++s)
    complete.stages.push_back(merged(schedule.stages[s], times[s], by_stage[s]));
  return complete;
}

}  // namespace lockstep
