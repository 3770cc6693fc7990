// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/vocabulary_loss.hpp"

#include "parallelism/tensor/cut.hpp"
#include "runtime/kernels/cross_entropy.hpp"

namespace lockstep {

namespace {

kernels::VocabularyRange range_of(std::int64_t vocabulary, const TensorGroup& group) {
  const Range mine = vocabulary_rows(vocabulary, group);
  return {mine.begin, mine.count()};
}

// Of the rows over all ranks.
struct RowSums {
  Tensor largest, sums;  // [M];  [2,M] the sum of exp(x - largest), the target's logit
};

RowSums sums_of(const Tensor& logits, const Tensor& targets, const kernels::VocabularyRange& range,
                const TensorGroup& group) {
  Device& device = logits.device();
  const std::int64_t M = logits.dim(0);
  Tensor stats = Tensor::empty(device, {3, M}), sums = Tensor::empty(device, {2, M});
  kernels::cross_entropy_statistics(stats, logits, targets, range, device.compute());
  Tensor largest = Tensor::empty(device, {M});
  group.ranks().all_reduce(largest, stats.slice(0, 1), ReduceOp::max).wait();
  kernels::cross_entropy_rescale(sums, stats, largest, device.compute());
  group.ranks().all_reduce(sums, ReduceOp::sum).wait();
  return {largest, sums};
}

}  // namespace

void vocabulary_cross_entropy(Tensor& losses, Tensor& logits, const Tensor& targets, float scale,
                              const TensorGroup& group, std::int64_t vocabulary) {
  Stream& compute = logits.device().compute();
  // Nothing to exchange: two passes over the logits instead of three.
  if (group.size() == 1) return kernels::cross_entropy(losses, logits, targets, scale, compute);
  const auto range = range_of(vocabulary, group);
  const auto [largest, sums] = sums_of(logits, targets, range, group);
  kernels::cross_entropy_gradient(losses, logits, targets, largest, sums, range, scale, compute);
}

void vocabulary_evaluation(Tensor& losses, Tensor& misses, Tensor& logits, const Tensor& targets,
                           const TensorGroup& group, std::int64_t vocabulary) {
  Stream& compute = logits.device().compute();
  const auto range = range_of(vocabulary, group);
  const auto [largest, sums] = sums_of(logits, targets, range, group);
  kernels::cross_entropy_misses(misses, logits, targets, sums.slice(1, 2), range, compute);
  group.ranks().all_reduce(misses, ReduceOp::max).wait();
  kernels::cross_entropy_gradient(losses, logits, targets, largest, sums, range, 1.0f, compute);
}

}  // namespace lockstep
