// SPDX-License-Identifier: Apache-2.0
// A trainable tensor and its gradient. The gradient may live in a communication bucket.
#pragma once

#include <string>

#include "runtime/tensor/tensor.hpp"

namespace lockstep {

struct Parameter {
  std::string name;  // unique in the model: "layers.3.attention.qkv.weight"
  Tensor value;
  Tensor grad;        // same shape; summed into by backward_weight
  bool decays = false;  // weight decay applies (matrices, not biases and norms)
  int uses = 1;       // how often one backward pass adds to grad (2 for tied embeddings)
};

}  // namespace lockstep
