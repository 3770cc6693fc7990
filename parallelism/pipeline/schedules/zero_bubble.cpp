// SPDX-License-Identifier: Apache-2.0
// ZB-H1: 1F1B whose weight gradients wait. On stage s that of micro-batch i comes behind the
// backward_input of i+s: gradients reach the stage before sooner, and while a stage would wait for
// one at the end of the step it does the weight gradients that it has put off.
//
//   bubble  (P-1)(F+B-W) of a step of m(F+B+W); where F = B = W a third of (P-1)(F+B+W), which is
//           1F1B's with a backward pass in one piece
//   stored  min(m, P) micro-batches on every stage: as the first stage of 1F1B
//   needs   one chunk per stage, m >= P (fewer leave nothing to put off)
//
// P. Qi et al., Zero bubble pipeline parallelism, ICLR 2024 (arXiv 2401.10241, 2023).
#include <algorithm>

#include "parallelism/pipeline/table.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

std::vector<Action> actions(const PipelineShape& shape, int stage) {
  const int m = shape.micro_batches, ahead = std::min(m, shape.stages - 1 - stage);
  std::vector<Action> all;
  for (int i = 0; i < ahead; ++i)
    all.push_back({ActionKind::forward, i});
  for (int i = 0; i < m; ++i) {
    if (i + ahead < m) all.push_back({ActionKind::forward, i + ahead});
    all.push_back({ActionKind::backward_input, i});
    if (i >= stage) all.push_back({ActionKind::backward_weight, i - stage});
  }
  for (int i = std::max(0, m - stage); i < m; ++i)
    all.push_back({ActionKind::backward_weight, i});
  return all;
}

std::string refusal(const PipelineShape& shape) {
  if (shape.micro_batches >= shape.stages) return needs_one_chunk(shape);
  return format(
      "needs as many micro-batches as stages, but there are %d on %d stages; %d or more "
      "(batch.global / batch.micro / parallel.data)",
      shape.micro_batches, shape.stages, shape.stages);
}

}  // namespace

extern const ScheduleKind zero_bubble_schedule;
const ScheduleKind zero_bubble_schedule{
    .name = "zb-h1", .actions = actions, .refusal = refusal, .defers = true};

}  // namespace lockstep
