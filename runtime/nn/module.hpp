// SPDX-License-Identifier: Apache-2.0
// A module is a differentiable function with its backward written out: no tape.
//
//   forward         y = f(x); saves in the stash what backward needs
//   backward_input  dX from dY; a layer with weights then calls stash.owe(*this)
//   backward_weight adds dW to the parameters' gradients, then calls stash.ready for each
//
// Containers write forward and backward_input only: each layer settles its own weights, at once or
// later, as the stash says. A module passes through one stash once, forward then backward.
#pragma once

#include <vector>

#include "runtime/nn/parameter.hpp"
#include "runtime/nn/stash.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual Tensor forward(const Tensor& x, Stash& stash) = 0;
  // residual + f(x), all of one shape; empty: f(x). By a pass of its own, unless a module that ends
  // with a product lets that add it.
  virtual Tensor forward_onto(const Tensor& residual, const Tensor& x, Stash& stash);
  // Takes dY by value: its memory may be reused for dX.
  virtual Tensor backward_input(Tensor dy, Stash& stash) = 0;
  virtual void backward_weight(Stash&) {}
  // Appends the parameters in the order in which forward uses them.
  virtual void parameters(std::vector<Parameter*>& into) = 0;
};

}  // namespace lockstep
