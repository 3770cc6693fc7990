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

ActionKind opposite(ActionKind kind) {
  switch (kind) {
    case ActionKind::send_activation:
      return ActionKind::receive_activation;
    case ActionKind::receive_activation:
      return ActionKind::send_activation;
    case ActionKind::send_gradient:
      return ActionKind::receive_gradient;
    case ActionKind::receive_gradient:
      return ActionKind::send_gradient;
    default:
      throw LogicError("a compute action has no other end");
  }
}

}  // namespace

std::string text_of(const Action& action) {
  std::string text = name_of(action.kind) + std::to_string(action.micro_batch);
  if (action.chunk > 0) text += "." + std::to_string(action.chunk);
  return text;
}

PlacedAction other_end(const PlacedAction& message, const PipelineShape& shape) {
  const Action& here = message.action;
  const bool onward =
      here.kind == ActionKind::send_activation || here.kind == ActionKind::receive_gradient;
  const int part = part_of(message.stage, here.chunk, shape) + (onward ? 1 : -1);
  return {part % shape.stages, {opposite(here.kind), here.micro_batch, part / shape.stages}};
}

}  // namespace lockstep
