// SPDX-License-Identifier: Apache-2.0
// Modules in a row: what every model is, and what a pipeline cuts into stages.
#pragma once

#include <memory>
#include <vector>

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

class Sequential : public Module {
 public:
  explicit Sequential(std::vector<std::unique_ptr<Module>> layers) : layers_(std::move(layers)) {}

  Tensor forward(const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;
  const std::vector<std::unique_ptr<Module>>& layers() const { return layers_; }

 private:
  std::vector<std::unique_ptr<Module>> layers_;
};

}  // namespace lockstep::nn
