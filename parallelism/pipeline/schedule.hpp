// SPDX-License-Identifier: Apache-2.0
// Pipeline schedules as data: what each stage does, in order. Pure functions make them; one
// executor runs any of them, one simulator prices them, one checker proves them.
//
// A rank holds `chunks` chunks of layers. Chunk c of stage s is part c * stages + s of the model:
// activations go from each part to the next, gradients back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

enum class ActionKind : std::uint8_t {
  forward,
  backward_input,
  backward_weight,     // right behind its backward_input: both in one pass
  send_activation,     // of (micro_batch, chunk) of this stage, to the next part
  receive_activation,  // for the forward of (micro_batch, chunk) of this stage
  send_gradient,       // of the input of (micro_batch, chunk), to the part before
  receive_gradient,    // for the backward of (micro_batch, chunk)
};

struct Action {
  ActionKind kind{};
  int micro_batch = 0, chunk = 0;
  bool operator==(const Action&) const = default;
};

struct PipelineShape {
  int stages = 1, micro_batches = 1, chunks = 1;
  int parts() const { return stages * chunks; }
  bool operator==(const PipelineShape&) const = default;
};

struct PipelineSchedule {
  std::string name;
  PipelineShape shape{};
  std::vector<std::vector<Action>> stages;  // of each, in order
};

inline constexpr int kNumActionKinds = 7;

inline bool is_compute(ActionKind kind) {
  return kind <= ActionKind::backward_weight;
}

inline int part_of(int stage, int chunk, const PipelineShape& shape) {
  return chunk * shape.stages + stage;
}

// "F3", "W0.1", "send_gradient 3": as files of schedules and messages show it. Chunk 0 is left out.
std::string text_of(const Action& action);

struct PlacedAction {
  int stage = 0;
  Action action{};
};

// The receive of a send, the send of a receive.
PlacedAction other_end(const PlacedAction& message, const PipelineShape& shape);

// What is wrong with a schedule, and on which stage.
struct ScheduleFault {
  int stage = 0;
  std::string what{};
};

}  // namespace lockstep
