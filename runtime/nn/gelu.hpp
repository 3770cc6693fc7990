// SPDX-License-Identifier: Apache-2.0
// GELU, tanh form, as a module.
#pragma once

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

class Gelu : public Module {
 public:
  Tensor forward(const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;  // dX takes dY's memory
  void parameters(std::vector<Parameter*>&) override {}
};

}  // namespace lockstep::nn
