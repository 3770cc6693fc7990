// SPDX-License-Identifier: Apache-2.0
// Layer normalization over the last dim, with scale and shift.
#pragma once

#include "runtime/nn/norm.hpp"

namespace lockstep::nn {

class LayerNorm : public Norm {
 public:
  LayerNorm(Device& device, const std::string& name, std::int64_t channels);

  Tensor forward(const Tensor& x, Stash& stash) override;
  using Norm::backward_input;
  Tensor backward_input(Tensor dy, const Tensor& residual, Stash& stash) override;
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

 private:
  std::shared_ptr<Parameter> gamma_, beta_;
};

}  // namespace lockstep::nn
