// SPDX-License-Identifier: Apache-2.0
// A normalization of rows, at the start of a residual branch.
#pragma once

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

class Norm : public Module {
 public:
  Tensor backward_input(Tensor dy, Stash& stash) override {
    return backward_input(std::move(dy), Tensor(), stash);
  }
  // dX plus the gradient that came around the norm: residual, of the same shape; empty: none.
  virtual Tensor backward_input(Tensor dy, const Tensor& residual, Stash& stash) = 0;
};

}  // namespace lockstep::nn
