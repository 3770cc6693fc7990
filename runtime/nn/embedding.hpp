// SPDX-License-Identifier: Apache-2.0
// The layers that turn tokens [B,T] (int32) into vectors. Their input has no gradient.
#pragma once

#include "runtime/nn/dropout.hpp"
#include "runtime/nn/module.hpp"

namespace lockstep::nn {

// Token plus position, then dropout: [B,T] -> [B,T,C]
class Embedding : public Module {
 public:
  Embedding(Device& device, const std::string& name, std::int64_t vocabulary,
            std::int64_t positions, std::int64_t channels, float dropout, const Init& init);

  Tensor forward(const Tensor& tokens, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;  // returns no tensor
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;
  const std::shared_ptr<Parameter>& token_table() const { return token_; }  // [V,C]

 private:
  std::shared_ptr<Parameter> token_, position_;
  Dropout dropout_;
};

// The last `window` tokens side by side: [B,T] -> [B,T,window * C]
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
