// SPDX-License-Identifier: Apache-2.0
// Y = X W^T + b with the columns of W cut: every rank has some of the inputs, and a partial sum of
// all outputs.   X [M, I/t] -> Y [this rank's rows, O]       M rows, I inputs, O outputs, t ranks
//
//   forward          reduce Y: M O elements
//   backward_input   gather dY: M O
//   backward_weight  nothing
// A gather is an all_gather under sequence parallelism, else nothing; a reduce is a reduce_scatter,
// else an all_reduce. The bias is in rank 0's partial sum; its gradient is complete on every rank.
// A residual joins where the sum is complete: in the product of a rank alone, else behind the sum
// of all, which in bfloat16 would round it with every partial sum.
#pragma once

#include "parallelism/tensor/cut.hpp"
#include "runtime/nn/linear.hpp"

namespace lockstep {

class RowLinear : public Module {
 public:
  RowLinear(Device& device, const TensorGroup& group, const std::string& name, std::int64_t inputs,
            std::int64_t outputs, const Init& init, nn::Bias bias);

  Tensor forward(const Tensor& x, Stash& stash) override {
    return forward_onto(Tensor(), x, stash);
  }
  Tensor forward_onto(const Tensor& residual, const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;
  Tensor backward_input_gelu(Tensor dy, const Tensor& z, Stash& stash);  // dz, where X is gelu(z)
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

  // The input of a forward pass that kept nothing, computed again.
  void give_back(const Tensor& x, Stash& stash) const { stash.save(this, x); }

 private:
  TensorGroup group_;
  std::shared_ptr<Parameter> weight_, bias_;  // [O,I/t], [O]; bias_ is null without one
};

}  // namespace lockstep
