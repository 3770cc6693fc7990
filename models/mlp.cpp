// SPDX-License-Identifier: Apache-2.0
#include "models/mlp.hpp"

#include <cmath>

#include "runtime/nn/embedding.hpp"
#include "runtime/nn/gelu.hpp"
#include "runtime/nn/linear.hpp"

namespace lockstep {

namespace {

void check_degree(int degree) {
  if (degree == 1) return;
  throw ConfigError("model.kind = \"mlp\" cannot be split, but parallel.tensor = " +
                    std::to_string(degree) + "; use parallel.tensor = 1");
}

std::unique_ptr<nn::Linear> linear(Build& with, const std::string& name, std::int64_t inputs,
                                   std::int64_t outputs) {
  const Init init{with.seed, 1.0f / std::sqrt(static_cast<float>(inputs))};
  return std::make_unique<nn::Linear>(with.device, name, inputs, outputs, init);
}

}  // namespace

ModelPlan plan_mlp(const ModelSection& c) {
  ModelPlan plan;
  plan.vocabulary = c.vocabulary;
  const auto add = [&plan](const std::string& name, auto make) {
    plan.layers.push_back({name, [make](Build& with) -> std::unique_ptr<Module> {
                             check_degree(with.tensor.size());
                             return make(with);
                           }});
  };
  add("embedding", [c](Build& with) {
    return std::make_unique<nn::WindowEmbedding>(with.device, "embedding", c.vocabulary, c.context,
                                                 c.hidden, Init{with.seed, 0.1f});
  });
  const std::int64_t width = c.ffn ? c.ffn : 4 * c.hidden;
  std::int64_t inputs = c.context * c.hidden;
  for (std::int64_t i = 0; i < c.layers; ++i) {
    const std::string name = "layers." + std::to_string(i);
    add(name, [=](Build& with) {
      std::vector<std::unique_ptr<Module>> layers;
      layers.push_back(linear(with, name, inputs, width));
      layers.push_back(std::make_unique<nn::Gelu>());
      return std::make_unique<nn::Sequential>(std::move(layers));
    });
    inputs = width;
  }
  add("head", [=](Build& with) { return linear(with, "head", inputs, c.vocabulary); });
  return plan;
}

}  // namespace lockstep
