// SPDX-License-Identifier: Apache-2.0
// A recorded stage of a pipeline cut at the actions of its schedule, so that other stages with the
// same layers can be put together from it in their own order. Runs of kernels that nothing waits
// between are one item, so that a pass is a few dozen items.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "perfmodels/operation_time.hpp"
#include "perfmodels/record_step.hpp"

namespace lockstep {

// What kernels take, each alone, by what they are for; the launch is not in the others.
struct KernelTotals {
  double gemm = 0, attention = 0, streaming = 0, optimizer = 0, data = 0, launch = 0;  // seconds
  double recompute = 0;               // contained in the others
  double flops = 0, flops_again = 0;  // of the model; of what is computed again

  double seconds() const { return gemm + attention + streaming + optimizer + data + launch; }
  KernelTotals& operator+=(const KernelTotals& other);
};

struct StretchItem {
  // What an item waits for, beside the one before it in its stream.
  enum class After : std::uint8_t {
    nothing,
    kernels,     // all before it
    message,     // that its pass receives
    messages,    // the last one before it
    collective,  // the `back`-th before it that is no message, 1: the last
  };
  StreamKind stream = StreamKind::compute;
  After after = After::nothing;
  int back = 0;
  Figure seconds{};
  const Operation* operation = nullptr;  // of communication, in the recording
  bool joint = false;                    // other stages take part
  Lane lane = Lane::world;
};

struct Stretch {
  std::vector<StretchItem> items{};
  KernelTotals kernels{};
};

class StageSegments {
 public:
  // Of a role that was recorded with this schedule. Both references stay.
  StageSegments(const RoleRecord& role, const PipelineSchedule& schedule, OperationTimes& times);

  const Stretch& before() const { return before_; }  // the first action
  const Stretch& behind() const { return behind_; }  // the last: reduce, update
  // Of a pass, see weights_at_once. Of a micro-batch that was not recorded so, what another one
  // took.
  const Stretch& pass(const Action& action, bool at_once) const;
  // A recorded message of the kind and chunk.
  const Operation& message(ActionKind kind, int chunk) const;

 private:
  using Key = std::tuple<ActionKind, int, bool, int>;  // kind, chunk, at once, micro-batch
  class Cutter;
  Stretch before_, behind_;
  std::map<Key, Stretch> passes_;
  std::map<std::pair<ActionKind, int>, Operation> messages_;
};

// Whether action `at` of a stage is half of a backward pass whose weight gradients do not wait.
bool weights_at_once(const std::vector<Action>& actions, std::size_t at);

}  // namespace lockstep
