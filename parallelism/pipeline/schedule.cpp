// SPDX-License-Identifier: Apache-2.0
#include "parallelism/pipeline/schedule.hpp"

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

const char* name_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward:
      return "F";
    case ActionKind::backward_input:
      return "B";
    case ActionKind::backward_weight:
      return "W";
    case ActionKind::send_activation:
      return "send_activation ";
    case ActionKind::receive_activation:
      return "receive_activation ";
    case ActionKind::send_gradient:
      return "send_gradient ";
    case ActionKind::receive_gradient:
      return "receive_gradient ";
  }
  return "?";
}

// Each send stands before its receive in the list of kinds.
ActionKind opposite(ActionKind kind) {
  constexpr int kFirst = static_cast<int>(ActionKind::send_activation);
  return static_cast<ActionKind>(((static_cast<int>(kind) - kFirst) ^ 1) + kFirst);
}

}  // namespace

std::string text_of(const Action& action) {
  std::string text = name_of(action.kind) + std::to_string(action.micro_batch);
  if (action.chunk > 0) text += "." + std::to_string(action.chunk);
  return text;
}

PlacedAction other_end(const PlacedAction& message, const PipelineShape& shape) {
  const Action& here = message.action;
  expect(!is_compute(here.kind), "a message has another end");
  const bool onward =
      here.kind == ActionKind::send_activation || here.kind == ActionKind::receive_gradient;
  int stage = message.stage + (onward ? 1 : -1), chunk = here.chunk;
  if (stage == shape.stages) {
    stage = 0;
    ++chunk;
  } else if (stage < 0) {
    stage = shape.stages - 1;
    --chunk;
  }
  return {stage, {opposite(here.kind), here.micro_batch, chunk}};
}

}  // namespace lockstep
