// SPDX-License-Identifier: Apache-2.0
// Softmax and cross entropy with the gradient in one pass over the logits, in place: no second
// tensor of their size exists.   M tokens, V vocabulary.
//   loss = -log softmax(logits)[target],   dlogits = scale (softmax(logits) - onehot(target))
#pragma once

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// losses[M] = loss of each token (unscaled);  logits[M,V] become dlogits.  targets [M] int32
void cross_entropy(Tensor& losses, Tensor& logits, const Tensor& targets, float scale,
                   Stream& stream);

// sum[1] += scale * (x[0] + x[1] + ...), added in order in double precision.
void add_scaled_sum(Tensor& sum, const Tensor& x, float scale, Stream& stream);

}  // namespace lockstep::kernels
