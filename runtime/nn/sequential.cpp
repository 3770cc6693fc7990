// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/sequential.hpp"

namespace lockstep::nn {

Tensor Sequential::forward(const Tensor& x, Stash& stash) {
  return forward_onto(Tensor(), x, stash);
}

Tensor Sequential::forward_onto(const Tensor& residual, const Tensor& x, Stash& stash) {
  Tensor y = x;
  for (const auto& layer : layers_) {
    if (watcher_) watcher_->before(*layer, LayerWatcher::Pass::forward);
    y = layer->forward_onto(layer == layers_.back() ? residual : Tensor(), y, stash);
    if (watcher_) watcher_->after(*layer, LayerWatcher::Pass::forward);
  }
  return y;
}

Tensor Sequential::backward_input(Tensor dy, Stash& stash) {
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    if (watcher_) watcher_->before(**layer, LayerWatcher::Pass::backward);
    dy = (*layer)->backward_input(std::move(dy), stash);
    if (watcher_) watcher_->after(**layer, LayerWatcher::Pass::backward);
  }
  return dy;
}

void Sequential::parameters(std::vector<Parameter*>& into) {
  for (const auto& layer : layers_)
    layer->parameters(into);
}

}  // namespace lockstep::nn
