// SPDX-License-Identifier: Apache-2.0
// SwiGLU as a module:   y[M,F] = silu(gate) up   from x[M,2F]: gate, then up
#pragma once

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

class SwiGlu : public Module {
 public:
  Tensor forward(const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;  // dX takes X's memory
  void parameters(std::vector<Parameter*>&) override {}
};

}  // namespace lockstep::nn
