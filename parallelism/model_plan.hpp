// SPDX-License-Identifier: Apache-2.0
// A model that is not built yet: its layers by name, each with the function that makes it. A
// pipeline builds those of its stage only; the dry device builds each once to see what it costs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "parallelism/tensor/tensor_group.hpp"
#include "runtime/nn/sequential.hpp"

namespace lockstep {

// What backward computes again instead of keeping it: nothing; the attention core (scores, softmax,
// values); every block from its input.
enum class Recompute : std::uint8_t { none, selective, full };

// What a layer is built with.
struct Build {
  Device& device;
  std::uint64_t seed;
  TensorGroup tensor;
  Recompute recompute = Recompute::none;
  // Parameters that a later layer uses too, by name, of the layers built so far on this rank.
  std::map<std::string, std::shared_ptr<Parameter>> shared{};
  std::map<std::string, Tensor> constants{};  // that layers use in common
};

struct LayerSpec {
  std::string name;
  std::function<std::unique_ptr<Module>(Build&)> make;
};

struct ModelPlan {
  std::vector<LayerSpec> layers;  // from tokens [B,T] to logits [M, this rank's vocabulary]
  std::int64_t vocabulary = 0;
  std::string tied;  // parameter that the first and the last layer use; empty: none
};

// All layers on one rank; on this one alone, without a mesh.
std::unique_ptr<nn::Sequential> build(const ModelPlan& plan, Build& with);
std::unique_ptr<nn::Sequential> build_alone(const ModelPlan& plan, Device& device,
                                            std::uint64_t seed);

}  // namespace lockstep
