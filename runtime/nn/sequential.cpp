// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/sequential.hpp"

namespace lockstep::nn {

Tensor Sequential::forward(const Tensor& x, Stash& stash) {
  Tensor y = x;
  for (const auto& layer : layers_)
    y = layer->forward(y, stash);
  return y;
}

Tensor Sequential::backward_input(Tensor dy, Stash& stash) {
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    dy = (*layer)->backward_input(std::move(dy), stash);
  }
  return dy;
}

void Sequential::parameters(std::vector<Parameter*>& into) {
  for (const auto& layer : layers_)
    layer->parameters(into);
}

}  // namespace lockstep::nn
