// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalization over the last dim (Zhang, Sennrich, NeurIPS 2019).   M rows, C
// channels.   y = x rstd gamma,   rstd = 1 / sqrt(mean(x^2) + 1e-5)
#pragma once

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// rstd [M] is what backward needs.
void rmsnorm_forward(Tensor& y, Tensor& rstd, const Tensor& x, const Tensor& gamma, Stream& stream);

// With n = x rstd and g = dy gamma:   dx = rstd (g - n mean(g n))
// A residual of dx's shape is added (the path around the norm joins for free); empty: none.
void rmsnorm_backward_input(Tensor& dx, const Tensor& dy, const Tensor& residual, const Tensor& x,
                            const Tensor& rstd, const Tensor& gamma, Stream& stream);

// dgamma += sum over rows of dy n
void rmsnorm_backward_weight(Tensor& dgamma, const Tensor& dy, const Tensor& x, const Tensor& rstd,
                             Stream& stream);

// rmsnorm.cu
namespace cuda {
void rmsnorm_forward(Tensor& y, Tensor& rstd, const Tensor& x, const Tensor& gamma, Stream& stream);
void rmsnorm_backward_input(Tensor& dx, const Tensor& dy, const Tensor& residual, const Tensor& x,
                            const Tensor& rstd, const Tensor& gamma, Stream& stream);
void rmsnorm_backward_weight(Tensor& dgamma, const Tensor& dy, const Tensor& x, const Tensor& rstd,
                             Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
