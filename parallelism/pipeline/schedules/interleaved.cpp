// SPDX-License-Identifier: Apache-2.0
// Interleaved 1F1B: each rank holds v chunks, so the pipeline fills in 1/v of the time. Passes go
// through P micro-batches of one chunk, then the same P of the next; forward through the chunks
// upwards, backward downwards.
//
//   bubble  (P-1)(F+B+W) of chunks, (P-1)/(v m) of the ideal time m v (F+B+W): 1/v of 1F1B's; W is
//           not in it if gradients leave before it (see GPipe)
//   stored  min(m v, (v-1) P + 2 (P-1-s) + 1) chunks on stage s: at most (1 + (P-1)/(P v)) of
//           1F1B's first stage
//   needs   v >= 2, P >= 2, m a multiple of P; v times the messages of 1F1B
//
// D. Narayanan et al., Efficient large-scale language model training on GPU clusters using
// Megatron-LM, SC 2021.
#include <algorithm>

#include "parallelism/pipeline/table.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

struct Pass {
  int micro_batch = 0, chunk = 0;
};

Pass kth_forward(int k, const PipelineShape& shape) {
  const int P = shape.stages, per_group = P * shape.chunks, within = k % per_group;
  return {k / per_group * P + within % P, within / P};
}

Pass kth_backward(int k, const PipelineShape& shape) {
  const Pass pass = kth_forward(k, shape);
  return {pass.micro_batch, shape.chunks - 1 - pass.chunk};
}

std::vector<Action> actions(const PipelineShape& shape, int stage) {
  const int P = shape.stages, num_passes = shape.micro_batches * shape.chunks;
  const int ahead = std::min(num_passes, (shape.chunks - 1) * P + 2 * (P - 1 - stage));
  std::vector<Action> all;
  auto append_forward = [&](int k) {
    const Pass pass = kth_forward(k, shape);
    all.push_back({ActionKind::forward, pass.micro_batch, pass.chunk});
  };
  for (int k = 0; k < ahead; ++k)
    append_forward(k);
  for (int k = 0; k < num_passes; ++k) {
    if (k + ahead < num_passes) append_forward(k + ahead);
    const Pass pass = kth_backward(k, shape);
    append_backward(all, pass.micro_batch, pass.chunk);
  }
  return all;
}

std::string refusal(const PipelineShape& shape) {
  const int P = shape.stages, m = shape.micro_batches;
  if (shape.chunks < 2) {
    return format("needs several chunks per stage, but parallel.chunks is %d; 2 or more",
                  shape.chunks);
  }
  if (P < 2) return "needs 2 stages or more, but parallel.pipeline is 1";
  if (m % P == 0) return "";
  const std::string fewer = m > P ? format("%d or ", m / P * P) : "";
  return format(
      "needs a multiple of its %d stages as micro-batches, but there are %d; %s%d would do"
      " (batch.global / batch.micro / parallel.data)",
      P, m, fewer.c_str(), (m / P + 1) * P);
}

}  // namespace

extern const ScheduleKind interleaved_schedule;
const ScheduleKind interleaved_schedule{"interleaved", actions, refusal};

}  // namespace lockstep
