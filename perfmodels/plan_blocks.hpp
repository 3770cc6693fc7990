// SPDX-License-Identifier: Apache-2.0
// What the layers of a model take on their tensor group, each kind alone: from recordings of a
// pipeline with one layer to a stage (embedding, block, block, head), two and three micro-batches.
//
//   seconds  the spans of the passes of such a stage; messages are awaited, so that none is in them
//   memory   of m micro-batches M(m) = m kept + working: two recordings tell both; two more, of
//            a schedule that defers weight gradients, what waits between the halves of a backward
//            pass and what each half takes
//
// Cost: some ms, for each (tensor, micro-batch, recomputation, sequence parallelism).
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "collectives/options.hpp"
#include "parallelism/hybrid/survey.hpp"
#include "perfmodels/layout.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

struct LayerCosts {
  // Seconds of one micro-batch; of backward in two passes, whose sums of the tensor group hide
  // behind less, input and weights.
  double forward = 0, backward = 0, input = 0, weights = 0;
  double computing = 0;          // of it seconds of kernels
  double parameters = 0;         // elements of a rank
  double kept = 0, working = 0;  // bytes of activations and buffers
  // Of what has been sent on and waits for its second half; working beside it.
  double waiting = 0, deferring = 0;
};

// Where each layer of a stage has its values and gradients (zero/units.hpp), by number.
struct LaneBuffers {
  std::vector<std::size_t> values{}, gradients{};
  double value_elements = 0, gradient_elements = 0;  // of all buffers
};

struct BlockCosts {
  LayerCosts embedding{}, block{}, head{};
  double update_seconds = 0;                                            // per element
  double parameter_bytes = 0, gradient_bytes = 0, optimizer_bytes = 0;  // of an element
  double table = 0;          // elements of the embedding table, which head and embedding share
  double message_bytes = 0;  // between two stages
  std::vector<LayerSurvey> layers{};       // of the whole model
  std::map<int, std::vector<int>> cuts{};  // by number of parts
  // By number of blocks of a stage, whether the embedding is there, and the head.
  std::map<std::tuple<int, bool, bool>, LaneBuffers> buffers{};
};

// Recordings that it takes.
inline constexpr int kBlockRecordings = 4;

BlockCosts costs_of_blocks(const JobConfig& job, const Layout& layout, const Machine& machine,
                           const CommunicatorOptions& options);

}  // namespace lockstep
