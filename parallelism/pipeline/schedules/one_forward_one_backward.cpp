// SPDX-License-Identifier: Apache-2.0
// 1F1B: stage s runs P-1-s forward passes ahead, then one forward and one backward pass in turn.
//
//   bubble  (P-1)/(m+P-1) of the step, all as GPipe
//   stored  min(m, P-s) micro-batches on stage s, however many there are
//   needs   one chunk per stage
//
// D. Narayanan et al., PipeDream, SOSP 2019; the flushed form: D. Narayanan et al.,
// Memory-efficient pipeline-parallel DNN training, ICML 2021.
#include <algorithm>

#include "parallelism/pipeline/table.hpp"

namespace lockstep {

namespace {

std::vector<Action> actions(const PipelineShape& shape, int stage) {
  const int m = shape.micro_batches, ahead = std::min(m, shape.stages - 1 - stage);
  std::vector<Action> all;
  for (int i = 0; i < ahead; ++i)
    all.push_back({ActionKind::forward, i});
  for (int i = 0; i < m; ++i) {
    if (i + ahead < m) all.push_back({ActionKind::forward, i + ahead});
    append_backward(all, i, 0);
  }
  return all;
}

}  // namespace

extern const ScheduleKind one_forward_one_backward_schedule;
const ScheduleKind one_forward_one_backward_schedule{"1f1b", actions, needs_one_chunk};

}  // namespace lockstep
