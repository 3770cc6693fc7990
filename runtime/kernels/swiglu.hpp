// SPDX-License-Identifier: Apache-2.0
// SwiGLU (Shazeer, 2020): a gate by SiLU, whose formulas are in math.hpp.   M rows, F channels.
// About 17 FLOPs an element of y forward, 22 backward.
#pragma once

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// y[M,F] = silu(gate) up   from x[M,2F]: gate, then up.
void swiglu_forward(Tensor& y, const Tensor& x, Stream& stream);
// dgate = dy up silu'(gate),   dup = dy silu(gate);   dx[M,2F] may be x.
void swiglu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream);

// swiglu.cu
namespace cuda {
void swiglu_forward(Tensor& y, const Tensor& x, Stream& stream);
void swiglu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
