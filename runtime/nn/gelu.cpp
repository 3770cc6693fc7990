// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/gelu.hpp"

#include "runtime/kernels/gelu.hpp"

namespace lockstep::nn {

Tensor Gelu::forward(const Tensor& x, Stash& stash) {
  Tensor y = Tensor::empty(x.device(), x.shape(), x.dtype());
  kernels::gelu_forward(y, x, x.device().compute());
  stash.save(this, x);
  return y;
}

Tensor Gelu::backward_input(Tensor dy, Stash& stash) {
  kernels::gelu_backward(dy, dy, stash.take(this), dy.device().compute());
  return dy;
}

}  // namespace lockstep::nn
