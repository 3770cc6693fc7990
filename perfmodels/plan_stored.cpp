// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan_stored.hpp"

#include <algorithm>

namespace lockstep {

namespace {

// What goes up with one kind of action and down with another.
struct Count {
  ActionKind up, down;
  int now = 0, most = 0;

  void see(ActionKind kind) {
    now += (kind == up) - (kind == down);
    most = std::max(most, now);
  }
};

// Whose weight gradients are done in one pass with the rest, has none that waits.
bool at_once(const std::vector<Action>& actions, std::size_t i) {
  const Action& a = actions[i];
  return i + 1 < actions.size() &&
         actions[i + 1] == Action{ActionKind::backward_weight, a.micro_batch, a.chunk};
}

}  // namespace

StoredPasses stored_passes(const PipelineSchedule& schedule) {
  StoredPasses passes;
  const int last_chunk = schedule.shape.chunks - 1;
  for (const std::vector<Action>& actions : schedule.stages) {
    Count stored{ActionKind::forward, ActionKind::backward_weight}, last = stored;
    Count waiting{ActionKind::backward_input, ActionKind::backward_weight};
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const ActionKind kind = actions[i].kind;
      stored.see(kind);
      if (actions[i].chunk == last_chunk) last.see(kind);
      if (kind == ActionKind::backward_input && at_once(actions, i)) {
        stored.see(ActionKind::backward_weight);
        if (actions[i].chunk == last_chunk) last.see(ActionKind::backward_weight);
        ++i;
      } else {
        waiting.see(kind);
      }
    }
    passes.stored.push_back(stored.most);
    passes.waiting.push_back(waiting.most);
    passes.of_last_part = last.most;
  }
  return passes;
}

}  // namespace lockstep
