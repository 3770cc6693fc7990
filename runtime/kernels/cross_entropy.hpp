// SPDX-License-Identifier: Apache-2.0
// Softmax and cross entropy with the gradient in place of the logits: no second tensor of their
// size exists.   M tokens, V vocabulary.
//   loss = -log softmax(logits)[target],   dlogits = scale (softmax(logits) - onehot(target))
#pragma once

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// losses[M] = loss of each token (unscaled);  logits[M,V] become dlogits.  targets [M] int32
void cross_entropy(Tensor& losses, Tensor& logits, const Tensor& targets, float scale,
                   Stream& stream);

// The same where each rank holds the logits of a range of the vocabulary: two passes over them with
// reductions of 3M numbers between, so nobody holds all logits. logits[M,Vp] are the columns
// [first, first + valid) of the vocabulary, then padding, which counts as minus infinity.
struct VocabularyRange {
  std::int64_t first, valid;
};

// stats[3,M]: the row's maximum; sum of exp(x - maximum); the target's logit, 0 if not in the
// range.
void cross_entropy_statistics(Tensor& stats, const Tensor& logits, const Tensor& targets,
                              const VocabularyRange& range, Stream& stream);

// sums[2,M] from stats and the maxima over all ranks [M]:  sum exp(maximum - global maximum);  the
// target's logit. To be summed over ranks.
void cross_entropy_rescale(Tensor& sums, const Tensor& stats, const Tensor& global_max,
                           Stream& stream);

// losses and dlogits as above (0 in the padding), from the sums over ranks.
void cross_entropy_gradient(Tensor& losses, Tensor& logits, const Tensor& targets,
                            const Tensor& global_max, const Tensor& sums,
                            const VocabularyRange& range, float scale, Stream& stream);

// misses[M] = 1 where a token of the range is likelier than the target, or as likely and before it,
// else 0: the target is the first choice of a row that no range misses. The targets' logits [M] as
// the sums over ranks have them.
void cross_entropy_misses(Tensor& misses, const Tensor& logits, const Tensor& targets,
                          const Tensor& target_logits, const VocabularyRange& range,
                          Stream& stream);

// sum[1] += scale * (x[0] + x[1] + ...), added in order in double precision.
void add_scaled_sum(Tensor& sum, const Tensor& x, float scale, Stream& stream);

// cross_entropy.cu
namespace cuda {
void add_scaled_sum(Tensor& sum, const Tensor& x, float scale, Stream& stream);
void cross_entropy(Tensor& losses, Tensor& logits, const Tensor& targets, float scale,
                   Stream& stream);
void cross_entropy_statistics(Tensor& stats, const Tensor& logits, const Tensor& targets,
                              const VocabularyRange& range, Stream& stream);
void cross_entropy_rescale(Tensor& sums, const Tensor& stats, const Tensor& global_max,
                           Stream& stream);
void cross_entropy_gradient(Tensor& losses, Tensor& logits, const Tensor& targets,
                            const Tensor& global_max, const Tensor& sums,
                            const VocabularyRange& range, float scale, Stream& stream);
void cross_entropy_misses(Tensor& misses, const Tensor& logits, const Tensor& targets,
                          const Tensor& target_logits, const VocabularyRange& range,
                          Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
