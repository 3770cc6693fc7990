// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/vocabulary_loss.hpp"

#include "parallelism/tensor/cut.hpp"
#include "runtime/kernels/cross_entropy.hpp"

namespace lockstep {

void vocabulary_cross_entropy(Tensor& losses, Tensor& logits, const Tensor& targets, float scale,
                              const TensorGroup& group, std::int64_t vocabulary) {
  Device& device = logits.device();
  Stream& compute = device.compute();
  // Nothing to exchange: two passes over the logits instead of three.
  if (group.size() == 1) return kernels::cross_entropy(losses, logits, targets, scale, compute);
  const Range mine = vocabulary_rows(vocabulary, group);
  const kernels::VocabularyRange range{mine.begin, mine.count()};
  const std::int64_t M = logits.dim(0);

  Tensor stats = Tensor::empty(device, {3, M}), sums = Tensor::empty(device, {2, M});
  kernels::cross_entropy_statistics(stats, logits, targets, range, compute);
  Tensor largest = Tensor::empty(device, {M});
  group.ranks().all_reduce(largest, stats.slice(0, 1), ReduceOp::max).wait();
  kernels::cross_entropy_rescale(sums, stats, largest, compute);
  group.ranks().all_reduce(sums, ReduceOp::sum).wait();
  kernels::cross_entropy_gradient(losses, logits, targets, largest, sums, range, scale, compute);
}

}  // namespace lockstep
