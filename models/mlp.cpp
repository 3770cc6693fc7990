// SPDX-License-Identifier: Apache-2.0
#include "models/mlp.hpp"

#include <cmath>

#include "runtime/nn/embedding.hpp"
#include "runtime/nn/gelu.hpp"
#include "runtime/nn/linear.hpp"

namespace lockstep {

std::unique_ptr<nn::Sequential> make_mlp(const ModelSection& c, Device& device,
                                         std::uint64_t seed) {
  const auto init = [seed](std::int64_t inputs) {
    return Init{seed, 1.0f / std::sqrt(static_cast<float>(inputs))};
  };
  std::vector<std::unique_ptr<Module>> layers;
  layers.push_back(std::make_unique<nn::WindowEmbedding>(device, "embedding", c.vocabulary,
                                                         c.context, c.hidden, Init{seed, 0.1f}));
  const std::int64_t width = c.ffn ? c.ffn : 4 * c.hidden;
  std::int64_t inputs = c.context * c.hidden;
  for (std::int64_t i = 0; i < c.layers; ++i) {
    layers.push_back(std::make_unique<nn::Linear>(device, "layers." + std::to_string(i), inputs,
                                                  width, init(inputs)));
    layers.push_back(std::make_unique<nn::Gelu>());
    inputs = width;
  }
  layers.push_back(
      std::make_unique<nn::Linear>(device, "head", inputs, c.vocabulary, init(inputs)));
  return std::make_unique<nn::Sequential>(std::move(layers));
}

}  // namespace lockstep
