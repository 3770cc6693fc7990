// SPDX-License-Identifier: Apache-2.0
// A module that keeps its input only: backward runs forward again, with the same masks, for what
// the module then takes. One more forward pass, its communication included, for the memory.
// T. Chen et al., "Training deep nets with sublinear memory cost", 2016.
#pragma once

#include <memory>

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

class Recomputed : public Module {
 public:
  explicit Recomputed(std::unique_ptr<Module> inner) : inner_(std::move(inner)) {}

  Tensor forward(const Tensor& x, Stash& stash) override {
    stash.save(this, x);
    const Forgetful forgetful(stash);
    return inner_->forward(x, stash);
  }
  Tensor backward_input(Tensor dy, Stash& stash) override {
    {
      const Tensor x = stash.take(this);
      const PhaseSpan span(x.device().compute(), "recompute");
      inner_->forward(x, stash);
    }
    return inner_->backward_input(std::move(dy), stash);
  }
  void parameters(std::vector<Parameter*>& into) override { inner_->parameters(into); }

 private:
  std::unique_ptr<Module> inner_;
};

}  // namespace lockstep::nn
