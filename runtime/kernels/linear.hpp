// SPDX-License-Identifier: Apache-2.0
// Linear map with bias.   M rows (batch x tokens), I inputs, O outputs.   y = x W^T + b
// Each product: 2 M I O FLOPs.
#pragma once

#include "runtime/kernels/gemm.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// y[M,O] = x[M,I] w[O,I]^T + b[O];  an empty b is no bias.
void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, Stream& stream);

// dx[M,I] = dy[M,O] w[O,I]
void linear_backward_input(Tensor& dx, const Tensor& dy, const Tensor& w, Stream& stream);

// dw[O,I] += dy[M,O]^T x[M,I];   db[O] += column sums of dy, unless db is empty.
void linear_backward_weight(Tensor& dw, Tensor& db, const Tensor& dy, const Tensor& x,
                            Stream& stream);

// linear.cu, over gemm_cublaslt.hpp
namespace cuda {
void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, Stream& stream);
void linear_backward_input(Tensor& dx, const Tensor& dy, const Tensor& w, Stream& stream);
void linear_backward_weight(Tensor& dw, Tensor& db, const Tensor& dy, const Tensor& x,
                            Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
