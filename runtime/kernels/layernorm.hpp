// SPDX-License-Identifier: Apache-2.0
// Layer normalization over the last dim.   M rows, C channels.
//   y = (x - mean) * rstd * gamma + beta,   rstd = 1 / sqrt(var + 1e-5)
#pragma once

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

struct LayerNormStatistics {
  Tensor mean, rstd;  // [M]
};

void layernorm_forward(Tensor& y, LayerNormStatistics& statistics, const Tensor& x,
                       const Tensor& gamma, const Tensor& beta, Stream& stream);

// With n = (x - mean) rstd and g = dy gamma:   dx = rstd (g - mean(g) - n mean(g n))
// A residual of dx's shape is added (the path around the norm joins for free); empty: none.
void layernorm_backward_input(Tensor& dx, const Tensor& dy, const Tensor& residual, const Tensor& x,
                              const LayerNormStatistics& statistics, const Tensor& gamma,
                              Stream& stream);

// dgamma += sum over rows of dy n;   dbeta += sum over rows of dy
void layernorm_backward_weight(Tensor& dgamma, Tensor& dbeta, const Tensor& dy, const Tensor& x,
                               const LayerNormStatistics& statistics, Stream& stream);

// layernorm.cu
namespace cuda {
void layernorm_forward(Tensor& y, LayerNormStatistics& statistics, const Tensor& x,
                       const Tensor& gamma, const Tensor& beta, Stream& stream);
void layernorm_backward_input(Tensor& dx, const Tensor& dy, const Tensor& residual, const Tensor& x,
                              const LayerNormStatistics& statistics, const Tensor& gamma,
                              Stream& stream);
void layernorm_backward_weight(Tensor& dgamma, Tensor& dbeta, const Tensor& dy, const Tensor& x,
                               const LayerNormStatistics& statistics, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
