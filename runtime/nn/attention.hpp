// SPDX-License-Identifier: Apache-2.0
// Causal self-attention with its two projections.   x [B,T,C] -> [B,T,C], H heads
#pragma once

#include "runtime/nn/dropout.hpp"
#include "runtime/nn/linear.hpp"

namespace lockstep::nn {

struct AttentionOptions {
  std::int64_t channels, heads;
  float dropout;               // share of attention weights dropped
  float projection_deviation;  // of the output projection's initial weights
};

class CausalSelfAttention : public Module {
 public:
  CausalSelfAttention(Device& device, const std::string& name, const AttentionOptions& options,
                      const Init& init);

  Tensor forward(const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

 private:
  std::int64_t heads_;
  Linear qkv_, out_;  // [3C,C], [C,C]
  Dropout dropout_;
};

}  // namespace lockstep::nn
