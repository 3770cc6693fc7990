// SPDX-License-Identifier: Apache-2.0
// Gradient norm, clipping and the optimizers' updates. Each update reads and writes every array
// once and leaves the gradient zeroed for the next step.
#pragma once

#include <span>
#include <vector>

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// sums[n], float64: the sum of squares of each gradient. Fixed pieces of 64 Ki are summed in order,
// so the bits do not depend on the number of threads.
void squared_sums(Tensor& sums, const std::vector<Tensor>& gradients, Stream& stream);

// norm[1] = sqrt(sums[0] + sums[1] + ...), in order.
void norm_of(Tensor& norm, const Tensor& sums, Stream& stream);

// factor[1] = min(1, limit / (norm + 1e-6)), or 1 where limit is 0.
void clip_factor(Tensor& factor, const Tensor& norm, float limit, Stream& stream);

struct AdamW {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  float correction1, correction2;  // 1 - beta^step
};

// With g = factor * gradient (Loshchilov, Hutter, ICLR 2019):
//   value -= lr decay value;  m += (1-b1)(g - m);  v += (1-b2)(g^2 - v)
//   value -= lr (m / c1) / (sqrt(v / c2) + epsilon)
void adamw_update(Tensor& value, Tensor& gradient, Tensor& m, Tensor& v, const Tensor& factor,
                  const AdamW& with, Stream& stream);

// One of the parameters of an update of all of them. The gradient may be bfloat16; `copy`, unless
// empty, becomes the new value in bfloat16 (what the kernels compute with).
struct AdamWPiece {
  Tensor value, gradient, m, v, copy;
  float weight_decay;
};
// The same for all parameters at once, each with its own weight decay: on a GPU one launch.
void adamw_update(const std::vector<AdamWPiece>& pieces, const Tensor& factor, const AdamW& with,
                  Stream& stream);

struct Momentum {
  float learning_rate, momentum, weight_decay;
};

// g = factor * gradient + decay value;  velocity = momentum velocity + g;  value -= lr velocity
void momentum_update(Tensor& value, Tensor& gradient, Tensor& velocity, const Tensor& factor,
                     const Momentum& with, Stream& stream);

// update.cu
namespace cuda {
void squared_sums(Tensor& sums, const std::vector<Tensor>& gradients, Stream& stream);
void norm_of(Tensor& norm, const Tensor& sums, Stream& stream);
void clip_factor(Tensor& factor, const Tensor& norm, float limit, Stream& stream);
void adamw_update(const std::vector<AdamWPiece>& pieces, const Tensor& factor, const AdamW& with,
                  Stream& stream);
void momentum_update(Tensor& value, Tensor& gradient, Tensor& velocity, const Tensor& factor,
                     const Momentum& with, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
