// SPDX-License-Identifier: Apache-2.0
// The layers that turn tokens [B,T] (int32) into vectors. Their input has no gradient.
#pragma once

#include "runtime/nn/module.hpp"

namespace lockstep::nn {

// The last `window` tokens side by side: [B,T] -> [M, window C], M = B T
class WindowEmbedding : public Module {
 public:
  WindowEmbedding(Device& device, const std::string& name, std::int64_t vocabulary,
                  std::int64_t window, std::int64_t channels, const Init& init);

  Tensor forward(const Tensor& tokens, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;  // returns no tensor
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

 private:
  std::int64_t window_;
  std::shared_ptr<Parameter> table_;
};

}  // namespace lockstep::nn
