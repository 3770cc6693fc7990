// SPDX-License-Identifier: Apache-2.0
// GELU, elementwise; formulas in math.hpp. About 20 FLOPs an element forward, 30 backward.
#pragma once

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

void gelu_forward(Tensor& y, const Tensor& x, Stream& stream);
// dx = dy * gelu'(x); dx may be dy.
void gelu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream);

// gelu.cu: float32 and bfloat16, computed in float32.
namespace cuda {
void gelu_forward(Tensor& y, const Tensor& x, Stream& stream);
void gelu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
