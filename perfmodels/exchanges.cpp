// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/exchanges.hpp"

#include <algorithm>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr double kNotYet = -1;

bool is_send(ActionKind kind) {
  return kind == ActionKind::send_activation || kind == ActionKind::send_gradient;
}

// What a pass makes for another stage, and what it needs from one.
struct Ends {
  const PipelineShape& shape;
  int stage;

  void append(std::vector<Action>& messages, const Action& pass, ActionKind kind) const {
    const Action message{kind, pass.micro_batch, pass.chunk};
    if (other_end({stage, message}, shape).stage != stage) messages.push_back(message);
  }
  void append_made(std::vector<Action>& messages, const Action& pass) const {
    const int part = part_of(stage, pass.chunk, shape);
    if (pass.kind == ActionKind::forward && part + 1 < shape.parts())
      append(messages, pass, ActionKind::send_activation);
    if (pass.kind == ActionKind::backward_input && part > 0)
      append(messages, pass, ActionKind::send_gradient);
  }
  void append_needed(std::vector<Action>& messages, const Action& pass) const {
    const int part = part_of(stage, pass.chunk, shape);
    if (pass.kind == ActionKind::forward && part > 0)
      append(messages, pass, ActionKind::receive_activation);
    if (pass.kind == ActionKind::backward_input && part + 1 < shape.parts())
      append(messages, pass, ActionKind::receive_gradient);
  }
};

// Forward passes of an interleaved schedule before its first backward pass has its turn.
int num_warming_up(const PipelineShape& shape, int stage) {
  return (shape.chunks - 1) * shape.stages + 2 * (shape.stages - 1 - stage);
}

// Places of the passes of each round: both halves of a backward pass together; of `alone` forward
// passes each alone, of the others each with the backward pass behind it.
std::vector<std::vector<std::size_t>> grouped(const std::vector<Action>& actions, int alone) {
  std::vector<std::vector<std::size_t>> groups;
  int forwards = 0;
  bool open = false;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const ActionKind kind = actions[i].kind;
    if (!is_compute(kind)) continue;
    const bool joins =
        kind == ActionKind::backward_weight || (kind == ActionKind::backward_input && open);
    if (!joins || groups.empty()) groups.emplace_back();
    groups.back().push_back(i);
    open = kind == ActionKind::forward && ++forwards > alone;
  }
  return groups;
}

// One exchange with each neighbour, that with whom something is sent first.
std::vector<std::vector<Action>> by_neighbour(const std::vector<Action>& messages, int stage,
                                              const PipelineShape& shape) {
  std::vector<std::vector<Action>> exchanges;
  std::vector<int> neighbours;
  for (const Action& m : messages) {
    const int other = other_end({stage, m}, shape).stage;
    const auto known = std::find(neighbours.begin(), neighbours.end(), other);
    const auto at = static_cast<std::size_t>(known - neighbours.begin());
    if (known == neighbours.end()) {
      neighbours.push_back(other);
      exchanges.emplace_back();
    }
    exchanges[at].push_back(m);
  }
  return exchanges;
}

}  // namespace

std::vector<Round> rounds_of(const PipelineSchedule& schedule, int stage) {
  const std::vector<Action>& actions = schedule.stages[static_cast<std::size_t>(stage)];
  const bool at_once = schedule.shape.chunks > 1;
  const Ends ends{schedule.shape, stage};
  std::vector<Round> rounds(1);  // the first has no passes, but may receive
  const int alone = at_once ? num_warming_up(schedule.shape, stage) : schedule.shape.micro_batches;
  for (auto& group : grouped(actions, alone))
    rounds.push_back({.passes = std::move(group)});
  for (std::size_t r = 0; r < rounds.size(); ++r) {
    std::vector<Action> messages;
    for (const std::size_t i : rounds[r].passes)
      ends.append_made(messages, actions[i]);
    if (r + 1 < rounds.size()) {
      for (const std::size_t i : rounds[r + 1].passes)
        ends.append_needed(messages, actions[i]);
    }
    if (messages.empty()) continue;
    if (at_once) {
      rounds[r].exchanges.push_back(std::move(messages));
    } else {
      rounds[r].exchanges = by_neighbour(messages, stage, schedule.shape);
    }
  }
  return rounds;
}

namespace {

class Rounds {
 public:
  Rounds(const PipelineSchedule& schedule, const ScheduleTimes& times)
      : schedule_(schedule), shape_(schedule.shape), times_(times) {
    const auto P = static_cast<std::size_t>(shape_.stages);
    stages_.resize(P);
    messages_.resize(2 * static_cast<std::size_t>(shape_.parts() * shape_.micro_batches));
    for (std::size_t s = 0; s < P; ++s) {
      stages_[s].rounds = rounds_of(schedule, static_cast<int>(s));
      stages_[s].times.resize(schedule.stages[s].size());
    }
  }

  SimulatedSchedule run() {
    for (int s = 0; s < shape_.stages; ++s)
      awake_.push_back(s);
    while (!awake_.empty()) {
      const int s = awake_.back();
      awake_.pop_back();
      proceed(s);
    }
    SimulatedSchedule done;
    for (Stage& stage : stages_) {
      expect(stage.round == stage.rounds.size(), "stages that wait for each other's messages");
      done.makespan = std::max(done.makespan, stage.now);
      done.busy.push_back(stage.busy);
      done.stages.push_back(std::move(stage.times));
    }
    return done;
  }

 private:
  struct Stage {
    std::vector<Round> rounds{};
    std::vector<ActionTime> times{};
    std::size_t round = 0, exchange = 0;
    bool passed = false;  // the passes of this round
    bool came = false;    // to this exchange
    double now = 0, busy = 0;
  };
  // `first`: when one end has come to it; `end`: when it has arrived.
  struct Message {
    double first = kNotYet, begin = kNotYet, end = kNotYet;
  };

  Message& message_of(int stage, const Action& action) {
    const PlacedAction here{stage, action};
    const PlacedAction send = is_send(action.kind) ? here : other_end(here, shape_);
    const int part = part_of(send.stage, send.action.chunk, shape_);
    const int half = send.action.kind == ActionKind::send_activation ? 0 : 1;
    return messages_[static_cast<std::size_t>(
        (half * shape_.parts() + part) * shape_.micro_batches + action.micro_batch)];
  }

  double seconds_of(int s, const Action& pass) const {
    const auto part = static_cast<std::size_t>(part_of(s, pass.chunk, shape_));
    const StageTimes& of = times_.parts[times_.parts.size() == 1 ? 0 : part];
    if (pass.kind == ActionKind::forward) return of.forward;
    return pass.kind == ActionKind::backward_input ? of.backward_input : of.backward_weight;
  }

  void run_passes(int s, Stage& stage) {
    for (const std::size_t i : stage.rounds[stage.round].passes) {
      const double seconds = seconds_of(s, schedule_.stages[static_cast<std::size_t>(s)][i]);
      stage.times[i] = {stage.now, stage.now + seconds};
      stage.now += seconds;
      stage.busy += seconds;
    }
    stage.passed = true;
  }

  // As far as it can without the others.
  void proceed(int s) {
    Stage& stage = stages_[static_cast<std::size_t>(s)];
    for (; stage.round < stage.rounds.size(); ++stage.round) {
      if (!stage.passed) run_passes(s, stage);
      const auto& exchanges = stage.rounds[stage.round].exchanges;
      for (; stage.exchange < exchanges.size(); ++stage.exchange) {
        if (!exchanged(s, stage, exchanges[stage.exchange])) return;
        stage.came = false;
      }
      stage.exchange = 0;
      stage.passed = false;
    }
  }

  bool exchanged(int s, Stage& stage, const std::vector<Action>& messages) {
    if (!stage.came) come(s, stage, messages);
    double end = stage.now, sent = stage.now;
    for (const Action& action : messages) {
      Message& m = message_of(s, action);
      if (is_send(action.kind) && m.begin != kNotYet && m.end == kNotYet && sent != kNotYet) {
        const int to = other_end({s, action}, shape_).stage;
        m.end = std::max(m.begin, sent) + times_.message_between(s, to);
        awake_.push_back(to);
      }
      if (is_send(action.kind)) sent = m.end;
      end = m.end == kNotYet || end == kNotYet ? kNotYet : std::max(end, m.end);
    }
    if (end == kNotYet) return false;
    stage.now = end;
    return true;
  }

  void come(int s, Stage& stage, const std::vector<Action>& messages) {
    stage.came = true;
    for (const Action& action : messages) {
      Message& m = message_of(s, action);
      if (m.first == kNotYet) {
        m.first = stage.now;
        continue;
      }
      m.begin = std::max(m.first, stage.now);
      if (!is_send(action.kind)) awake_.push_back(other_end({s, action}, shape_).stage);
    }
  }

  const PipelineSchedule& schedule_;
  PipelineShape shape_;
  const ScheduleTimes& times_;
  std::vector<Stage> stages_;
  std::vector<Message> messages_;
  std::vector<int> awake_;
};

}  // namespace

SimulatedSchedule simulate_rounds(const PipelineSchedule& schedule, const ScheduleTimes& times) {
  return Rounds(schedule, times).run();
}

}  // namespace lockstep
