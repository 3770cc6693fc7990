// SPDX-License-Identifier: Apache-2.0
// Modules in a row: what every model is, and what a pipeline cuts into stages.
#pragma once

#include <memory>
#include <vector>

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

// Told of every layer that is about to be used and has been: who keeps parameters elsewhere brings
// them (ZeRO-3).
class LayerWatcher {
 public:
  enum class Pass : std::uint8_t { forward, backward };
  virtual ~LayerWatcher() = default;
  virtual void before(Module& layer, Pass pass) = 0;
  virtual void after(Module& layer, Pass pass) = 0;
};

class Sequential : public Module {
 public:
  explicit Sequential(std::vector<std::unique_ptr<Module>> layers) : layers_(std::move(layers)) {}

  Tensor forward(const Tensor& x, Stash& stash) override;
  Tensor forward_onto(const Tensor& residual, const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;
  const std::vector<std::unique_ptr<Module>>& layers() const { return layers_; }
  void watch(LayerWatcher* watcher) { watcher_ = watcher; }

 private:
  std::vector<std::unique_ptr<Module>> layers_;
  LayerWatcher* watcher_ = nullptr;
};

}  // namespace lockstep::nn
