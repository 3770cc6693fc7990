// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/module.hpp"

#include "runtime/kernels/dropout.hpp"

namespace lockstep {

Tensor Module::forward_onto(const Tensor& residual, const Tensor& x, Stash& stash) {
  Tensor y = forward(x, stash);
  if (residual) kernels::dropout_add(y, residual, y, {}, y.device().compute());
  return y;
}

}  // namespace lockstep
