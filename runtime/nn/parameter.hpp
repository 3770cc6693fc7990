// SPDX-License-Identifier: Apache-2.0
// A trainable tensor and its gradient. The gradient is a view into a communication bucket; whoever
// trains lays it out (GradientBuckets, or allocate_gradients for one rank).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/tensor/tensor.hpp"

namespace lockstep {

class Module;

struct Parameter {
  std::string name;  // unique in the model: "blocks.3.attention.qkv.weight"
  Tensor value;
  Tensor grad{};        // same shape; backward_weight adds to it
  bool decays = false;  // weight decay applies: matrices, not biases and norms
  int uses = 1;         // how often one backward pass adds to grad: 2 for tied embeddings
};

// How a parameter starts: normal numbers keyed by (seed, name), so that every layout has the same.
struct Init {
  std::uint64_t seed = 0;
  float deviation = 0.02f;
};

std::shared_ptr<Parameter> make_matrix(Device& device, std::string name, const Shape& shape,
                                       const Init& init);
std::shared_ptr<Parameter> make_vector(Device& device, std::string name, std::int64_t count,
                                       float value);  // constant; does not decay

// Every parameter once, in the order in which forward uses them first.
std::vector<Parameter*> parameters_of(Module& module);
std::int64_t count_elements(const std::vector<Parameter*>& parameters);
void allocate_gradients(const std::vector<Parameter*>& parameters);  // zeroed, each its own

// FNV-1a: the stable number of a name in random keys.
std::uint64_t name_hash(const std::string& name);

}  // namespace lockstep
