// SPDX-License-Identifier: Apache-2.0
// The feed-forward layers of a GPT:   Y = gelu(X U^T + b) D^T + c      C -> ffn -> C
// Cut as ColumnLinear and RowLinear are, which also say what travels. They are one module so that a
// GPU's products apply the GELU as they write.
#pragma once

#include "parallelism/tensor/column_linear.hpp"
#include "parallelism/tensor/row_linear.hpp"

namespace lockstep {

class GeluUnits : public Module {
 public:
  GeluUnits(Device& device, const TensorGroup& group, const std::string& name,
            std::int64_t channels, std::int64_t ffn, const Init& inner, const Init& last)
      : up_(device, group, name + ".up", channels, std::vector{ffn}, inner, nn::Bias::zero),
        down_(device, group, name + ".down", ffn, channels, last, nn::Bias::zero) {}

  Tensor forward(const Tensor& x, Stash& stash) override {
    return forward_onto(Tensor(), x, stash);
  }
  Tensor forward_onto(const Tensor& residual, const Tensor& x, Stash& stash) override {
    Tensor z;  // [M, ffn/t]
    const Tensor y = up_.forward_gelu(x, z, stash);
    stash.save(this, z);
    return down_.forward_onto(residual, y, stash);
  }
  Tensor backward_input(Tensor dy, Stash& stash) override {
    Tensor dz = down_.backward_input_gelu(std::move(dy), stash.take(this), stash);
    return up_.backward_input(std::move(dz), stash);
  }
  void parameters(std::vector<Parameter*>& into) override {
    up_.parameters(into);
    down_.parameters(into);
  }

 private:
  ColumnLinear up_;
  RowLinear down_;
};

}  // namespace lockstep
