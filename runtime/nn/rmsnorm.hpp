// SPDX-License-Identifier: Apache-2.0
// Root-mean-square normalization over the last dim, with scale.
#pragma once

#include "runtime/nn/norm.hpp"

namespace lockstep::nn {

class RmsNorm : public Norm {
 public:
  RmsNorm(Device& device, const std::string& name, std::int64_t channels);

  Tensor forward(const Tensor& x, Stash& stash) override;
  using Norm::backward_input;
  Tensor backward_input(Tensor dy, const Tensor& residual, Stash& stash) override;
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

 private:
  std::shared_ptr<Parameter> gamma_;
};

}  // namespace lockstep::nn
