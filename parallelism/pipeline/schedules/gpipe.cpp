// SPDX-License-Identifier: Apache-2.0
// GPipe: all forward passes, then all backward passes.
//
//   bubble  (P-1)(F+B+W) of a step of m(F+B+W), that is (P-1)/(m+P-1) of it, for P stages of equal
//           time and m micro-batches, if gradients leave when both halves of a backward pass are
//           done; (P-1)(F+B) if they leave before W, as with_messages sends them
//   stored  m micro-batches on every stage
//   needs   one chunk per stage
//
// Y. Huang et al., GPipe, NeurIPS 2019. There the backward passes go from the last micro-batch to
// the first; here upwards, so that gradients are summed in the order of the serial run.
#include "parallelism/pipeline/table.hpp"

namespace lockstep {

namespace {

std::vector<Action> actions(const PipelineShape& shape, int /*stage*/) {
  std::vector<Action> all;
  for (int i = 0; i < shape.micro_batches; ++i)
    all.push_back({ActionKind::forward, i});
  for (int i = 0; i < shape.micro_batches; ++i)
    append_backward(all, i, 0);
  return all;
}

}  // namespace

extern const ScheduleKind gpipe_schedule;
const ScheduleKind gpipe_schedule{"gpipe", actions, needs_one_chunk};

}  // namespace lockstep
