// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/simulate.hpp"

#include <algorithm>
#include <span>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr double kNotYet = -1;

bool has_messages(const PipelineSchedule& schedule) {
  for (const auto& actions : schedule.stages) {
    for (const Action& action : actions)
      if (!is_compute(action.kind)) return true;
  }
  return false;
}

class Simulation {
 public:
  Simulation(const PipelineSchedule& schedule, const ScheduleTimes& times)
      : shape_(schedule.shape),
        times_(times),
        by_message_(has_messages(schedule)),
        stages_(schedule.stages.size()),
        ends_(static_cast<std::size_t>(shape_.parts()) * kNumActionKinds *
                  static_cast<std::size_t>(shape_.micro_batches),
              kNotYet) {
    expect(
        times.parts.size() == 1 || times.parts.size() == static_cast<std::size_t>(shape_.parts()),
        "a schedule is simulated with the times of every part, or of one for all");
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      stages_[s].actions = schedule.stages[s];
      stages_[s].times.resize(schedule.stages[s].size());
    }
  }

  // Runs each stage as far as it can; its neighbours may then go on.
  void run() {
    for (int s = shape_.stages - 1; s >= 0; --s)
      wake(s);
    while (!awake_.empty()) {
      const int s = awake_.back();
      awake_.pop_back();
      at(s).awake = false;
      bool moved = false;
      while (run_pass(s) || run_message(s))
        moved = true;
      if (!moved) continue;
      wake((s + 1) % shape_.stages);
      wake((s + shape_.stages - 1) % shape_.stages);
    }
  }

  std::optional<ScheduleFault> stuck() const;
  SimulatedSchedule result();

 private:
  struct Stage {
    std::span<const Action> actions;
    std::vector<ActionTime> times;
    std::size_t next = 0;     // the pass that comes next; messages before it are in the queue
    std::size_t message = 0;  // the head of the queue, if before `next`
    double free = 0, queue_free = 0, busy = 0;
    bool awake = false;
  };

  Stage& at(int stage) { return stages_[static_cast<std::size_t>(stage)]; }
  const Stage& at(int stage) const { return stages_[static_cast<std::size_t>(stage)]; }

  double& end_of(int stage, ActionKind kind, const Action& of) {
    const int part = part_of(stage, of.chunk, shape_);
    return ends_[static_cast<std::size_t>(
        (part * kNumActionKinds + static_cast<int>(kind)) * shape_.micro_batches + of.micro_batch)];
  }

  void wake(int s) {
    if (at(s).awake) return;
    at(s).awake = true;
    awake_.push_back(s);
  }

  double arrival(int s, const Action& action, ActionKind receive);
  double ready(int s, const Action& action);
  double seconds_of(int s, const Action& action) const;
  const Action* head(Stage& stage) const;
  bool run_pass(int s);
  bool run_message(int s);

  PipelineShape shape_;
  const ScheduleTimes& times_;
  bool by_message_;
  std::vector<Stage> stages_;
  std::vector<double> ends_;  // [part][kind][micro-batch], kNotYet before
  std::vector<int> awake_;
};

// When what a pass receives is there.
double Simulation::arrival(int s, const Action& action, ActionKind receive) {
  if (by_message_) return end_of(s, receive, action);
  const PlacedAction from = other_end({s, {receive, action.micro_batch, action.chunk}}, shape_);
  const double made = end_of(from.stage, action.kind, from.action);
  return made == kNotYet || from.stage == s ? made : made + times_.message_between(from.stage, s);
}

// When all that a pass needs is there; kNotYet if that is not known.
double Simulation::ready(int s, const Action& action) {
  const int part = part_of(s, action.chunk, shape_);
  switch (action.kind) {
    case ActionKind::forward:
      return part == 0 ? 0 : arrival(s, action, ActionKind::receive_activation);
    case ActionKind::backward_input: {
      const double own = end_of(s, ActionKind::forward, action);
      if (part == shape_.parts() - 1 || own == kNotYet) return own;
      return arrival(s, action, ActionKind::receive_gradient);
    }
    default:  // on this stage, so it is free
      return std::min(end_of(s, ActionKind::backward_input, action), at(s).free);
  }
}

double Simulation::seconds_of(int s, const Action& action) const {
  const std::size_t part = static_cast<std::size_t>(part_of(s, action.chunk, shape_));
  const StageTimes& times = times_.parts[times_.parts.size() == 1 ? 0 : part];
  if (action.kind == ActionKind::forward) return times.forward;
  return action.kind == ActionKind::backward_input ? times.backward_input : times.backward_weight;
}

bool Simulation::run_pass(int s) {
  Stage& stage = at(s);
  for (; stage.next < stage.actions.size(); ++stage.next) {
    if (is_compute(stage.actions[stage.next].kind)) break;
    stage.times[stage.next].begin = stage.free;  // handed to the queue
  }
  if (stage.next == stage.actions.size()) return false;
  if (times_.queue == MessageQueue::shared && head(stage)) return false;

  const Action& action = stage.actions[stage.next];
  const double there = ready(s, action);
  if (there == kNotYet) return false;
  const double queue = times_.queue == MessageQueue::shared ? stage.queue_free - times_.until : 0;
  const double begin = std::max({there, stage.free, queue});
  const double alone = begin + seconds_of(s, action);
  const PassEnd pass =
      times_.ends ? times_.ends(s, action, stage.free, begin) : PassEnd{alone, alone};
  end_of(s, action.kind, action) = pass.sends;
  stage.free = pass.end;
  stage.times[stage.next++] = {begin, pass.end};
  stage.busy += pass.end - begin;
  return true;
}

// The message at the head of the queue; nullptr if none has been handed to it.
const Action* Simulation::head(Stage& stage) const {
  while (stage.message < stage.next && is_compute(stage.actions[stage.message].kind))
    ++stage.message;
  return stage.message < stage.next ? &stage.actions[stage.message] : nullptr;
}

bool Simulation::run_message(int s) {
  const Action* here = head(at(s));
  if (!here) return false;
  const PlacedAction end = other_end({s, *here}, shape_);
  const Action* there = head(at(end.stage));
  if (!there || *there != end.action) return false;

  Stage &a = at(s), &b = at(end.stage);
  const double begin =
      std::max({a.times[a.message].begin, b.times[b.message].begin, a.queue_free, b.queue_free});
  const double seconds = times_.message_between(s, end.stage);
  a.queue_free = b.queue_free = begin + seconds;
  end_of(s, here->kind, *here) = end_of(end.stage, there->kind, *there) = a.queue_free;
  a.times[a.message++] = b.times[b.message++] = {begin, begin + seconds};
  return true;
}

// The stages that wait and at what; of many the first ones.
std::optional<ScheduleFault> Simulation::stuck() const {
  constexpr int kMostNamed = 6;
  std::optional<ScheduleFault> fault;
  int num_waiting = 0;
  for (int s = 0; s < shape_.stages; ++s) {
    const Stage& stage = at(s);
    std::size_t i = stage.message;
    while (i < stage.next && is_compute(stage.actions[i].kind))
      ++i;
    if (i == stage.actions.size()) continue;
    if (!fault) fault = {s, "deadlock:"};
    if (++num_waiting > kMostNamed) continue;
    fault->what += (num_waiting == 1 ? " stage " : ", stage ") + std::to_string(s) + " at " +
                   text_of(stage.actions[i]);
  }
  if (num_waiting > kMostNamed)
    fault->what += " and " + std::to_string(num_waiting - kMostNamed) + " more";
  if (fault) fault->what += num_waiting == 1 ? " waits for ever" : " wait for each other";
  return fault;
}

SimulatedSchedule Simulation::result() {
  SimulatedSchedule done;
  for (Stage& stage : stages_) {
    done.makespan = std::max({done.makespan, stage.free, stage.queue_free});
    done.busy.push_back(stage.busy);
    done.stages.push_back(std::move(stage.times));
  }
  return done;
}

}  // namespace

SimulatedSchedule simulate_schedule(const PipelineSchedule& schedule, const ScheduleTimes& times) {
  Simulation simulation(schedule, times);
  simulation.run();
  if (const auto fault = simulation.stuck())
    throw LogicError("schedule " + schedule.name + ": " + fault->what);
  return simulation.result();
}

std::optional<ScheduleFault> find_deadlock(const PipelineSchedule& schedule) {
  const ScheduleTimes times{.queue = MessageQueue::shared};
  Simulation simulation(schedule, times);
  simulation.run();
  return simulation.stuck();
}

}  // namespace lockstep
