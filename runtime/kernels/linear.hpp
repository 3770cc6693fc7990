// SPDX-License-Identifier: Apache-2.0
// Linear map with bias.   M rows (batch x tokens), I inputs, O outputs.   y = x W^T + b
// Each product: 2 M I O FLOPs.
#pragma once

#include "runtime/kernels/gemm.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// y[M,O] = x[M,I] w[O,I]^T + b[O] + residual[M,O];  empty: none.
// The residual is added where y is written, or its bias is: one read of it instead of a pass of its
// own, which reads y and it and writes y.
void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& residual, Stream& stream);
inline void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b,
                           Stream& stream) {
  linear_forward(y, x, w, b, Tensor(), stream);
}

// dx[M,I] = dy[M,O] w[O,I]
void linear_backward_input(Tensor& dx, const Tensor& dy, const Tensor& w, Stream& stream);

// dw[O,I] += dy[M,O]^T x[M,I];   db[O] += column sums of dy, unless db is empty.
void linear_backward_weight(Tensor& dw, Tensor& db, const Tensor& dy, const Tensor& x,
                            Stream& stream);

// y[M,O] = gelu(z),  z[M,O] = x w^T + b, which backward needs.
// dz[M,I] = (dy[M,O] w[O,I]) gelu'(z[M,I])
//
// In bfloat16, GPUs' type, one operation each: the product applies the GELU as it writes, which
// saves a pass over z forward and one over dz and y's gradient backward. Else two: a product and
// gelu.hpp.
void linear_gelu_forward(Tensor& y, Tensor& z, const Tensor& x, const Tensor& w, const Tensor& b,
                         Stream& stream);
void linear_gelu_backward_input(Tensor& dz, const Tensor& dy, const Tensor& w, const Tensor& z,
                                Stream& stream);

// linear.cu, over gemm_cublaslt.hpp
namespace cuda {
void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& residual, Stream& stream);
void linear_backward_input(Tensor& dx, const Tensor& dy, const Tensor& w, Stream& stream);
void linear_backward_weight(Tensor& dw, Tensor& db, const Tensor& dy, const Tensor& x,
                            Stream& stream);
void linear_gelu_forward(Tensor& y, Tensor& z, const Tensor& x, const Tensor& w, const Tensor& b,
                         Stream& stream);
void linear_gelu_backward_input(Tensor& dz, const Tensor& dy, const Tensor& w, const Tensor& z,
                                Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
