// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/column_linear.hpp"

#include <numeric>

#include "runtime/kernels/linear.hpp"

namespace lockstep {

ColumnLinear::ColumnLinear(Device& device, const TensorGroup& group, const std::string& name,
                           std::int64_t inputs, const std::vector<std::int64_t>& outputs,
                           const Init& init, nn::Bias bias)
    : group_(group) {
  const auto O = std::accumulate(outputs.begin(), outputs.end(), std::int64_t{0});
  const std::int64_t mine = group.block_of(O).count();
  weight_ = make_matrix(device, name + ".weight", {mine, inputs}, init,
                        cut_evenly({O, inputs}, 0, outputs, group));
  if (bias == nn::Bias::none) return;
  bias_ = make_vector(device, name + ".bias", mine, 0.0f, cut_evenly({O}, 0, outputs, group));
}

ColumnLinear::ColumnLinear(const TensorGroup& group, std::shared_ptr<Parameter> weight,
                           Tensor Parameter::*gradient)
    : group_(group), weight_(std::move(weight)), gradient_(gradient) {}

Tensor ColumnLinear::forward(const Tensor& x, Stash& stash) {
  Device& device = x.device();
  const Tensor all = group_.gathered(x, stash.batch().all_rows());
  Tensor y = Tensor::empty(device, {all.dim(0), weight_->value.dim(0)}, x.dtype());
  kernels::linear_forward(y, all, weight_->value, bias_ ? bias_->value : Tensor(),
                          device.compute());
  stash.save(this, x);
  return y;
}

Tensor ColumnLinear::forward_gelu(const Tensor& x, Tensor& z, Stash& stash) {
  Device& device = x.device();
  const Tensor all = group_.gathered(x, stash.batch().all_rows());
  z = Tensor::empty(device, {all.dim(0), weight_->value.dim(0)}, x.dtype());
  Tensor y = Tensor::empty(device, z.shape(), x.dtype());
  kernels::linear_gelu_forward(y, z, all, weight_->value, bias_->value, device.compute());
  stash.save(this, x);
  return y;
}

Tensor ColumnLinear::backward_input(Tensor dy, Stash& stash) {
  Device& device = dy.device();
  const bool deferred = stash.defers_weight_gradients();
  TensorGroup::Pending x{stash.take(this)};  // what dW will be computed from
  if (!deferred) x = group_.gather(x.result, dy.dim(0));
  Tensor dx = Tensor::empty(device, {dy.dim(0), weight_->value.dim(1)}, dy.dtype());
  kernels::linear_backward_input(dx, dy, weight_->value, device.compute());
  TensorGroup::Pending sum = group_.reduce(std::move(dx));
  stash.save(this, std::move(x).wait());
  stash.save(this, std::move(dy));
  stash.owe(*this);
  return std::move(sum).wait();
}

void ColumnLinear::backward_weight(Stash& stash) {
  const Tensor dy = stash.take(this);
  Tensor x = stash.take(this), none;
  if (stash.defers_weight_gradients()) x = group_.gathered(x, dy.dim(0));
  kernels::linear_backward_weight((*weight_).*gradient_, bias_ ? bias_->grad : none, dy, x,
                                  dy.device().compute());
  if (bias_) stash.ready(*bias_);
  stash.ready(*weight_);
}

void ColumnLinear::parameters(std::vector<Parameter*>& into) {
  into.push_back(weight_.get());
  if (bias_) into.push_back(bias_.get());
}

}  // namespace lockstep
