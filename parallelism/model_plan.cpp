// SPDX-License-Identifier: Apache-2.0
#include "parallelism/model_plan.hpp"

namespace lockstep {

std::unique_ptr<nn::Sequential> build(const ModelPlan& plan, Build& with) {
  std::vector<std::unique_ptr<Module>> layers;
  for (const LayerSpec& layer : plan.layers)
    layers.push_back(layer.make(with));
  return std::make_unique<nn::Sequential>(std::move(layers));
}

std::unique_ptr<nn::Sequential> build_alone(const ModelPlan& plan, Device& device,
                                            std::uint64_t seed) {
  const TensorGroup alone(Communicator::alone(device), TensorGroup::Rows::all);
  Build with{.device = device, .seed = seed, .tensor = alone};
  return build(plan, with);
}

}  // namespace lockstep
