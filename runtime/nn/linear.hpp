// SPDX-License-Identifier: Apache-2.0
// y[M,O] = x[M,I] W[O,I]^T + b[O]
#pragma once

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

enum class Bias : std::uint8_t { none, zero };

class Linear : public Module {
 public:
  Linear(Device& device, const std::string& name, std::int64_t inputs, std::int64_t outputs,
         const Init& init, Bias bias = Bias::zero);

  Tensor forward(const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

 private:
  std::shared_ptr<Parameter> weight_, bias_;  // bias_ is null without one
};

}  // namespace lockstep::nn
