// SPDX-License-Identifier: Apache-2.0
// What this rank holds of the model's state, in words that no layout is part of: stretches of
// parameters, each with its value and the states of the optimizer. Checkpoints write and read it.
//
// Where several ranks hold the same, they share the writing: data ranks that have copies write 1/d
// each, the first tensor rank writes what all of them have, the first stage a tied parameter.
#pragma once

#include "parallelism/hybrid/training_step.hpp"
#include "runtime/checkpoint/snapshot.hpp"

namespace lockstep {

// All of it: what must be loaded. The tensors are those that training goes on with.
std::vector<HeldPiece> held_state(const TrainingStep& step);

// What this rank writes. Over all ranks every element of the model is in it once.
std::vector<HeldPiece> written_state(const TrainingStep& step, const Mesh& mesh);

// What is of use to this rank in this layout only: what the compression of gradients held back.
std::vector<HeldState> own_state(const TrainingStep& step);

// The elements of a parameter that a rank holds, in the order in which they lie there; padding
// behind them is not counted. Pure.
Rectangles rectangles_of(const Part& part, const Shape& held);

}  // namespace lockstep
