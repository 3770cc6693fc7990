// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/row_linear.hpp"

#include "runtime/kernels/dropout.hpp"
#include "runtime/kernels/linear.hpp"

namespace lockstep {

RowLinear::RowLinear(Device& device, const TensorGroup& group, const std::string& name,
                     std::int64_t inputs, std::int64_t outputs, const Init& init, nn::Bias bias)
    : group_(group),
      weight_(make_matrix(device, name + ".weight", {outputs, group.block_of(inputs).count()}, init,
                          cut_evenly({outputs, inputs}, 1, {inputs}, group))),
      bias_(bias == nn::Bias::zero ? make_vector(device, name + ".bias", outputs, 0.0f) : nullptr) {
}

Tensor RowLinear::forward_onto(const Tensor& residual, const Tensor& x, Stash& stash) {
  Device& device = x.device();
  Tensor partial = Tensor::empty(device, {x.dim(0), weight_->value.dim(0)}, x.dtype());
  const bool adds_bias = bias_ && group_.rank() == 0, complete = group_.is_alone();
  kernels::linear_forward(partial, x, weight_->value, adds_bias ? bias_->value : Tensor(),
                          complete ? residual : Tensor(), device.compute());
  TensorGroup::Pending sum = group_.reduce(std::move(partial));
  stash.save(this, x);
  Tensor y = std::move(sum).wait();
  if (residual && !complete) kernels::dropout_add(y, residual, y, {}, device.compute());
  return y;
}

Tensor RowLinear::backward_input(Tensor dy, Stash& stash) {
  Device& device = dy.device();
  dy = group_.gathered(dy, stash.batch().all_rows());
  Tensor dx = Tensor::empty(device, {dy.dim(0), weight_->value.dim(1)}, dy.dtype());
  kernels::linear_backward_input(dx, dy, weight_->value, device.compute());
  stash.save(this, std::move(dy));
  stash.owe(*this);
  return dx;
}

Tensor RowLinear::backward_input_gelu(Tensor dy, const Tensor& z, Stash& stash) {
  Device& device = dy.device();
  dy = group_.gathered(dy, stash.batch().all_rows());
  Tensor dz = Tensor::empty(device, z.shape(), dy.dtype());
  kernels::linear_gelu_backward_input(dz, dy, weight_->value, z, device.compute());
  stash.save(this, std::move(dy));
  stash.owe(*this);
  return dz;
}

void RowLinear::backward_weight(Stash& stash) {
  const Tensor dy = stash.take(this), x = stash.take(this);
  Tensor none;
  kernels::linear_backward_weight(weight_->grad, bias_ ? bias_->grad : none, dy, x,
                                  dy.device().compute());
  if (bias_) stash.ready(*bias_);
  stash.ready(*weight_);
}

void RowLinear::parameters(std::vector<Parameter*>& into) {
  into.push_back(weight_.get());
  if (bias_) into.push_back(bias_.get());
}

}  // namespace lockstep
