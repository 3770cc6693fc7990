// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/rmsnorm.hpp"

#include "runtime/kernels/rmsnorm.hpp"

namespace lockstep::nn {

RmsNorm::RmsNorm(Device& device, const std::string& name, std::int64_t channels)
    : gamma_(make_vector(device, name + ".weight", channels, 1.0f)) {}

Tensor RmsNorm::forward(const Tensor& x, Stash& stash) {
  Device& device = x.device();
  Tensor y = Tensor::empty(device, x.shape(), x.dtype());
  Tensor rstd = Tensor::empty(device, {x.dim(0)});
  kernels::rmsnorm_forward(y, rstd, x, gamma_->value, device.compute());
  stash.save(this, x);
  stash.save(this, rstd);
  return y;
}

Tensor RmsNorm::backward_input(Tensor dy, const Tensor& residual, Stash& stash) {
  const Tensor rstd = stash.take(this), x = stash.take(this);
  Tensor dx = Tensor::empty(x.device(), x.shape(), x.dtype());
  kernels::rmsnorm_backward_input(dx, dy, residual, x, rstd, gamma_->value, x.device().compute());
  for (const Tensor& t : {x, rstd, dy})
    stash.save(this, t);
  dy = Tensor();  // the stash alone decides how long it lives
  stash.owe(*this);
  return dx;
}

void RmsNorm::backward_weight(Stash& stash) {
  const Tensor dy = stash.take(this), rstd = stash.take(this), x = stash.take(this);
  kernels::rmsnorm_backward_weight(gamma_->grad, dy, x, rstd, x.device().compute());
  stash.ready(*gamma_);
}

void RmsNorm::parameters(std::vector<Parameter*>& into) {
  into.push_back(gamma_.get());
}

}  // namespace lockstep::nn
