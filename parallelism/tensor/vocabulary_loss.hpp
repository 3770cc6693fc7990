// SPDX-License-Identifier: Apache-2.0
// Cross entropy of logits whose columns, the vocabulary, are spread over the tensor group: nobody
// holds all logits of a row.                                  M rows, V vocabulary, t ranks
//
//   all_reduce of the rows' maxima             M elements
//   all_reduce of sums and targets' logits    2M
// both with every rank's own logits [M, ceil(V/t)] read twice; they become their gradient.
// Evaluation reads them once more:
//   all_reduce of what each rank misses        M
#pragma once

#include "parallelism/tensor/tensor_group.hpp"

namespace lockstep {

// losses[M] of each token (unscaled); logits become scale x their gradient. targets [M] int32.
// Complete on every rank.
void vocabulary_cross_entropy(Tensor& losses, Tensor& logits, const Tensor& targets, float scale,
                              const TensorGroup& group, std::int64_t vocabulary);

// The losses, and misses[M]: 0 where the target is the likeliest token of all, 1 where it is not
// (of equally likely ones the first counts). The logits are used up. Complete on every rank.
void vocabulary_evaluation(Tensor& losses, Tensor& misses, Tensor& logits, const Tensor& targets,
                           const TensorGroup& group, std::int64_t vocabulary);

}  // namespace lockstep
