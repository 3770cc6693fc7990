// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/linear.hpp"

#include "runtime/kernels/linear.hpp"

namespace lockstep::nn {

Linear::Linear(Device& device, const std::string& name, std::int64_t inputs, std::int64_t outputs,
               const Init& init, Bias bias)
    : weight_(make_matrix(device, name + ".weight", {outputs, inputs}, init)),
      bias_(bias == Bias::zero ? make_vector(device, name + ".bias", outputs, 0.0f) : nullptr) {}

Tensor Linear::forward(const Tensor& x, Stash& stash) {
  Device& device = x.device();
  Tensor y = Tensor::empty(device, {x.dim(0), weight_->value.dim(0)}, x.dtype());
  kernels::linear_forward(y, x, weight_->value, bias_ ? bias_->value : Tensor(), device.compute());
  stash.save(this, x);
  return y;
}

Tensor Linear::backward_input(Tensor dy, Stash& stash) {
  Device& device = dy.device();
  Tensor dx = Tensor::empty(device, {dy.dim(0), weight_->value.dim(1)}, dy.dtype());
  kernels::linear_backward_input(dx, dy, weight_->value, device.compute());
  stash.save(this, std::move(dy));
  stash.owe(*this);
  return dx;
}

void Linear::backward_weight(Stash& stash) {
  const Tensor dy = stash.take(this), x = stash.take(this);
  Tensor none;
  kernels::linear_backward_weight(weight_->grad, bias_ ? bias_->grad : none, dy, x,
                                  dy.device().compute());
  if (bias_) stash.ready(*bias_);
  stash.ready(*weight_);
}

void Linear::parameters(std::vector<Parameter*>& into) {
  into.push_back(weight_.get());
  if (bias_) into.push_back(bias_.get());
}

}  // namespace lockstep::nn
