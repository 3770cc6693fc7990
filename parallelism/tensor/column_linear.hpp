// SPDX-License-Identifier: Apache-2.0
// Y = X W^T + b with the rows of W cut: every rank computes some of the outputs.
//   X [this rank's rows, I] -> Y [M, O/t]        M rows, I inputs, O outputs, t ranks
//
//   forward          gather X: M I elements
//   backward_input   gather X again behind the product of dX, reduce dX behind that of dW: 2 M I
//   backward_weight  gathers X itself where it is deferred
// A gather is an all_gather under sequence parallelism, else nothing; a reduce is a reduce_scatter,
// else an all_reduce. Gathering again costs one message more and saves (t-1)/t of X in memory.
#pragma once

#include "parallelism/tensor/cut.hpp"
#include "runtime/nn/linear.hpp"

namespace lockstep {

class ColumnLinear : public Module {
 public:
  // The outputs are stretches one behind the other, each of them cut.
  ColumnLinear(Device& device, const TensorGroup& group, const std::string& name,
               std::int64_t inputs, const std::vector<std::int64_t>& outputs, const Init& init,
               nn::Bias bias);
  // With a weight that is cut already, and the gradient that it adds to; no bias.
  ColumnLinear(const TensorGroup& group, std::shared_ptr<Parameter> weight,
               Tensor Parameter::*gradient);

  Tensor forward(const Tensor& x, Stash& stash) override;
  Tensor forward_gelu(const Tensor& x, Tensor& z, Stash& stash);  // gelu(z), z what forward gives
  Tensor backward_input(Tensor dy, Stash& stash) override;
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

 private:
  TensorGroup group_;
  std::shared_ptr<Parameter> weight_, bias_;        // [O/t,I], [O/t]; bias_ is null without one
  Tensor Parameter::*gradient_ = &Parameter::grad;  // of the weight
};

}  // namespace lockstep
