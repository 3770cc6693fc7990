// SPDX-License-Identifier: Apache-2.0
// Layer normalization over the last dim, with scale and shift.
#pragma once

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

class LayerNorm : public Module {
 public:
  LayerNorm(Device& device, const std::string& name, std::int64_t channels);

  Tensor forward(const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;
  // dX plus the gradient that came around the norm: residual, of the same shape.
  Tensor backward_input(Tensor dy, const Tensor& residual, Stash& stash);
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

 private:
  std::shared_ptr<Parameter> gamma_, beta_;
};

}  // namespace lockstep::nn
