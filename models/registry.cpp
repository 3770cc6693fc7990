// SPDX-License-Identifier: Apache-2.0
#include "models/registry.hpp"

#include "models/gpt.hpp"
#include "models/llama.hpp"
#include "models/mlp.hpp"

namespace lockstep {

namespace {

constexpr ModelKind kModels[] = {
    {"gpt", plan_gpt},
    {"llama", plan_llama},
    {.name = "mlp", .plan = plan_mlp, .cuts_layers = false, .recomputes = false},
};

}  // namespace

std::span<const ModelKind> model_table() {
  return kModels;
}

const ModelKind& find_model_kind(const std::string& name) {
  std::string known;
  for (const ModelKind& kind : kModels) {
    if (name == kind.name) return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  throw ConfigError("model.kind = \"" + name + "\" is not a model; use one of: " + known);
}

ModelPlan plan_model(const ModelSection& config) {
  return find_model_kind(config.kind).plan(config);
}

std::unique_ptr<nn::Sequential> make_model(const ModelSection& config, Device& device,
                                           std::uint64_t seed) {
  return build_alone(plan_model(config), device, seed);
}

std::vector<std::string> model_kinds() {
  std::vector<std::string> kinds;
  for (const ModelKind& kind : kModels)
    kinds.emplace_back(kind.name);
  return kinds;
}

}  // namespace lockstep
