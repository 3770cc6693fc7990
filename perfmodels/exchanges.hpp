// SPDX-License-Identifier: Apache-2.0
// Messages of software that computes nothing while it sends or receives. Between its passes a stage
// hands some messages over at once, waits until all of them are done, and goes on:
//
//   1f1b         with one neighbour after the other: to the next stage what a forward pass made and
//                from there the gradient for a backward pass that follows, and so on
//   interleaved  with both at once, behind each forward pass of the warm-up, each forward and
//                backward pass together while it runs, each backward pass at the end
//
// A message begins when both ends have come to it and, of several of one sender, one after the
// other: they share its port. The stages go in step: what makes one late makes its neighbours late.
//
// Source: NVIDIA/Megatron-LM (2021, 2022), megatron/schedules.py and p2p_communication.py: a batch
// of isend and irecv, wait, torch.cuda.synchronize().
#pragma once

#include <vector>

#include "parallelism/pipeline/simulate.hpp"

namespace lockstep {

// Passes and what is exchanged behind them.
struct Round {
  std::vector<std::size_t> passes{};             // by place among the actions of the stage
  std::vector<std::vector<Action>> exchanges{};  // messages at once; sends before receives
};

// Of a schedule whose messages, if it has any, are looked over.
std::vector<Round> rounds_of(const PipelineSchedule& schedule, int stage);

// When each pass of a schedule would run; messages of `times.message` seconds. LogicError if two
// stages wait for each other. Cost: some 50 ns per message.
SimulatedSchedule simulate_rounds(const PipelineSchedule& schedule, const ScheduleTimes& times);

}  // namespace lockstep
