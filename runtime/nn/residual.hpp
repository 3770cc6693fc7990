// SPDX-License-Identifier: Apache-2.0
// A residual branch, pre-norm:   y = x + dropout(branch(norm(x)))      all of one shape [m,C]
#pragma once

#include <memory>

#include "runtime/nn/dropout.hpp"
#include "runtime/nn/norm.hpp"

namespace lockstep::nn {

class Residual : public Module {
 public:
  Residual(std::unique_ptr<Norm> norm, std::unique_ptr<Module> branch, const Dropout& dropout)
      : norm_(std::move(norm)), branch_(std::move(branch)), dropout_(dropout) {}

  Tensor forward(const Tensor& x, Stash& stash) override {
    stash.save(this, dropout_.mask_kept(x));
    const Tensor normed = norm_->forward(x, stash);
    if (!dropout_.drops(stash)) return branch_->forward_onto(x, normed, stash);
    return dropout_.add_to(x, branch_->forward(normed, stash), stash);
  }
  Tensor backward_input(Tensor dy, Stash& stash) override {
    stash.take(this);
    Tensor branch = branch_->backward_input(dropout_.backward(dy, stash), stash);
    return norm_->backward_input(std::move(branch), dy, stash);
  }
  void parameters(std::vector<Parameter*>& into) override {
    norm_->parameters(into);
    branch_->parameters(into);
  }

 private:
  std::unique_ptr<Norm> norm_;
  std::unique_ptr<Module> branch_;
  Dropout dropout_;
};

}  // namespace lockstep::nn
