// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/check.hpp"

#include <algorithm>
#include <span>

#include "parallelism/pipeline/simulate.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Kind = ActionKind;

bool has_messages(const std::vector<Action>& actions) {
  return std::any_of(actions.begin(), actions.end(),
                     [](const Action& action) { return !is_compute(action.kind); });
}

// The actions of one stage, walked once; and what must have been seen before each.
class StageCheck {
 public:
  StageCheck(const PipelineSchedule& schedule, int stage, bool by_message)
      : shape_(schedule.shape),
        stage_(stage),
        by_message_(by_message),
        seen_(static_cast<std::size_t>(kNumActionKinds * shape_.chunks * shape_.micro_batches)) {}

  std::string fault(const std::vector<Action>& actions) {
    for (const Action& action : actions) {
      std::string text = fault_of(action);
      if (!text.empty()) return text;
    }
    return missing();
  }

 private:
  std::string fault_of(const Action& action) {
    const std::string text = out_of_range(action);
    if (!text.empty()) return text;
    if (!belongs(action.kind, action.chunk))
      return "has " + text_of(action) + ", but nothing travels there";
    if (seen(action.kind, action)) return "has " + text_of(action) + " twice";
    for (const Kind kind : needs(action.kind)) {
      const Action needed{kind, action.micro_batch, action.chunk};
      if (belongs(kind, action.chunk) && !seen(kind, action)) {
        return "has " + text_of(action) + " before " + text_of(needed) + " or without it";
      }
    }
    seen_[index(action.kind, action)] = true;
    return "";
  }

  std::string out_of_range(const Action& action) const {
    const bool micro_batch = action.micro_batch >= 0 && action.micro_batch < shape_.micro_batches;
    const bool chunk = action.chunk >= 0 && action.chunk < shape_.chunks;
    if (micro_batch && chunk) return "";
    return format("has %s, but micro-batches go from 0 to %d and chunks from 0 to %d",
                  text_of(action).c_str(), shape_.micro_batches - 1, shape_.chunks - 1);
  }

  std::string missing() const {
    for (int kind = 0; kind < kNumActionKinds; ++kind) {
      for (int chunk = 0; chunk < shape_.chunks; ++chunk) {
        for (int i = 0; i < shape_.micro_batches; ++i) {
          const Action action{static_cast<Kind>(kind), i, chunk};
          if (belongs(action.kind, chunk) && !seen(action.kind, action))
            return "lacks " + text_of(action);
        }
      }
    }
    return "";
  }

  // Whether this stage has such an action of a chunk at all.
  bool belongs(Kind kind, int chunk) const {
    if (is_compute(kind)) return true;
    if (!by_message_ || shape_.stages == 1) return false;
    const int part = part_of(stage_, chunk, shape_);
    const bool before = kind == Kind::receive_activation || kind == Kind::send_gradient;
    return before ? part > 0 : part < shape_.parts() - 1;
  }

  static std::span<const Kind> needs(Kind kind) {
    static constexpr Kind kForward[] = {Kind::forward, Kind::receive_gradient};
    static constexpr Kind kReceived[] = {Kind::receive_activation};
    static constexpr Kind kBackward[] = {Kind::backward_input};
    switch (kind) {
      case Kind::forward:
        return kReceived;
      case Kind::backward_input:
        return kForward;
      case Kind::backward_weight:
      case Kind::send_gradient:
        return kBackward;
      case Kind::send_activation:
        return std::span(kForward).first(1);
      default:
        return {};
    }
  }

  std::size_t index(Kind kind, const Action& of) const {
    return static_cast<std::size_t>((static_cast<int>(kind) * shape_.chunks + of.chunk) *
                                        shape_.micro_batches +
                                    of.micro_batch);
  }
  bool seen(Kind kind, const Action& of) const { return seen_[index(kind, of)]; }

  PipelineShape shape_;
  int stage_;
  bool by_message_;
  std::vector<bool> seen_;  // [kind][chunk][micro-batch]
};

// Most micro-batches at once that are past `first` and not yet past their weight gradient.
int peak_since(Kind first, const std::vector<Action>& actions) {
  int count = 0, peak = 0;
  for (const Action& action : actions) {
    if (action.kind == first) peak = std::max(peak, ++count);
    if (action.kind == Kind::backward_weight) --count;
  }
  return peak;
}

bool is_ascending(const std::vector<Action>& actions, int num_chunks) {
  std::vector<int> last(static_cast<std::size_t>(num_chunks), -1);
  for (const Action& action : actions) {
    if (action.kind != Kind::backward_weight) continue;
    int& before = last[static_cast<std::size_t>(action.chunk)];
    if (action.micro_batch < before) return false;
    before = action.micro_batch;
  }
  return true;
}

}  // namespace

std::optional<ScheduleFault> find_fault(const PipelineSchedule& schedule) {
  const PipelineShape& shape = schedule.shape;
  if (shape.stages < 1 || shape.chunks < 1 || shape.micro_batches < 1 ||
      schedule.stages.size() != static_cast<std::size_t>(shape.stages)) {
    return ScheduleFault{
        0, format("the schedule lists %zu stages of %d, %d chunks and %d "
                  "micro-batches",
                  schedule.stages.size(), shape.stages, shape.chunks, shape.micro_batches)};
  }
  const bool by_message = std::any_of(schedule.stages.begin(), schedule.stages.end(), has_messages);
  for (int s = 0; s < shape.stages; ++s) {
    const std::string text =
        StageCheck(schedule, s, by_message).fault(schedule.stages[static_cast<std::size_t>(s)]);
    if (!text.empty()) return ScheduleFault{s, "stage " + std::to_string(s) + " " + text};
  }
  return find_deadlock(schedule);
}

ScheduleReport check(const PipelineSchedule& schedule) {
  if (const auto fault = find_fault(schedule))
    throw LogicError("schedule " + schedule.name + ": " + fault->what);
  ScheduleReport report;
  for (const auto& actions : schedule.stages) {
    report.peak_stored.push_back(peak_since(Kind::forward, actions));
    report.peak_waiting.push_back(peak_since(Kind::backward_input, actions));
    report.ascending = report.ascending && is_ascending(actions, schedule.shape.chunks);
  }
  return report;
}

}  // namespace lockstep
