// SPDX-License-Identifier: Apache-2.0
// A training step at the level of messages: micro-batches through the stages of a pipeline, then
// the sum of the gradients over the replicas of each stage by one of our algorithms. Run over the
// MPI transport on simulated ranks, and recorded to be replayed: the same code.
//
//   name   ORDER-STAGESxMICRO_BATCHES-ALGORITHM[-inner], such as "1f1b-8x16-ring"
//   place  ranks = stages x replicas, the replicas of a stage neighbours, as on a Mesh; "inner":
//   the
//          stages of a replica
//   bytes  n for each message between stages, 4 n of gradients on every rank
//   time   100 us for a forward, 200 us for a backward pass of a micro-batch
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "collectives/algorithms/table.hpp"

namespace lockstep {

struct PipelineAction {
  enum class What : std::uint8_t {
    receive_activation,  // from the stage before
    forward,
    send_activation,
    receive_gradient,  // from the stage behind
    backward,
    send_gradient
  };
  What what;
  int micro_batch;
};

// What a stage does, in its order.
using PipelineSchedule = std::vector<PipelineAction> (*)(int stages, int stage, int micro_batches);
// All forward, then all backward. Y. Huang et al., NeurIPS 2019.
std::vector<PipelineAction> gpipe(int stages, int stage, int micro_batches);
// As soon as it can a stage goes one backward for each forward. D. Narayanan et al., SOSP 2019.
std::vector<PipelineAction> one_forward_one_backward(int stages, int stage, int micro_batches);

struct PipelineStep {
  PipelineSchedule schedule = nullptr;
  int stages = 1, micro_batches = 1;
  const Algorithm* reduce = nullptr;
  enum class Inner : std::uint8_t { replicas, stages } inner = Inner::replicas;
};
PipelineStep pipeline_step_named(const std::string& name);

// `compute` lets the rank work for so many seconds. `gradients` are summed over the replicas.
using Compute = std::function<void(double seconds)>;
void run_pipeline_step(const PipelineStep& step, Transport& net, const Elements& messages,
                       const Elements& gradients, const Compute& compute);

constexpr std::size_t gradient_bytes(std::size_t message_bytes) {
  return 4 * message_bytes;
}

}  // namespace lockstep
