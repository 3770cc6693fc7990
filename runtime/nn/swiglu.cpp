// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/swiglu.hpp"

#include "runtime/kernels/swiglu.hpp"

namespace lockstep::nn {

Tensor SwiGlu::forward(const Tensor& x, Stash& stash) {
  Tensor y = Tensor::empty(x.device(), {x.dim(0), x.dim(1) / 2}, x.dtype());
  kernels::swiglu_forward(y, x, x.device().compute());
  stash.save(this, x);
  return y;
}

Tensor SwiGlu::backward_input(Tensor dy, Stash& stash) {
  Tensor x = stash.take(this);  // nobody else's: the product before it keeps its input only
  kernels::swiglu_backward(x, dy, x, dy.device().compute());
  return x;
}

}  // namespace lockstep::nn
