// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/layernorm.hpp"

#include "runtime/kernels/layernorm.hpp"

namespace lockstep::nn {

LayerNorm::LayerNorm(Device& device, const std::string& name, std::int64_t channels)
    : gamma_(make_vector(device, name + ".weight", channels, 1.0f)),
      beta_(make_vector(device, name + ".bias", channels, 0.0f)) {}

Tensor LayerNorm::forward(const Tensor& x, Stash& stash) {
  Device& device = x.device();
  const std::int64_t rows = x.count() / gamma_->value.count();
  Tensor y = Tensor::empty(device, x.shape(), x.dtype());
  kernels::LayerNormStatistics statistics{Tensor::empty(device, {rows}),
                                          Tensor::empty(device, {rows})};
  kernels::layernorm_forward(y, statistics, x, gamma_->value, beta_->value, device.compute());
  stash.save(this, x);
  stash.save(this, statistics.mean);
  stash.save(this, statistics.rstd);
  return y;
}

Tensor LayerNorm::backward_input(Tensor dy, const Tensor& residual, Stash& stash) {
  const Tensor rstd = stash.take(this), mean = stash.take(this), x = stash.take(this);
  Tensor dx = Tensor::empty(x.device(), x.shape(), x.dtype());
  kernels::layernorm_backward_input(dx, dy, residual, x, {mean, rstd}, gamma_->value,
                                    x.device().compute());
  for (const Tensor& t : {x, mean, rstd, dy})
    stash.save(this, t);
  dy = Tensor();  // the stash alone decides how long it lives
  stash.owe(*this);
  return dx;
}

void LayerNorm::backward_weight(Stash& stash) {
  const Tensor dy = stash.take(this), rstd = stash.take(this), mean = stash.take(this),
               x = stash.take(this);
  kernels::layernorm_backward_weight(gamma_->grad, beta_->grad, dy, x, {mean, rstd},
                                     x.device().compute());
  stash.ready(*beta_);
  stash.ready(*gamma_);
}

void LayerNorm::parameters(std::vector<Parameter*>& into) {
  into.push_back(gamma_.get());
  into.push_back(beta_.get());
}

}  // namespace lockstep::nn
