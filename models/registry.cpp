// SPDX-License-Identifier: Apache-2.0
#include "models/registry.hpp"

#include "models/gpt.hpp"
#include "models/llama.hpp"
#include "models/mlp.hpp"

namespace lockstep {

namespace {

struct Entry {
  const char* kind;
  ModelPlan (*plan)(const ModelSection&);
};

constexpr Entry kModels[] = {
    {"gpt", plan_gpt},
    {"llama", plan_llama},
    {"mlp", plan_mlp},
};

}  // namespace

ModelPlan plan_model(const ModelSection& config) {
  std::string known;
  for (const Entry& entry : kModels) {
    if (config.kind == entry.kind) return entry.plan(config);
    known += (known.empty() ? "" : ", ") + std::string(entry.kind);
  }
  throw ConfigError("model.kind = \"" + config.kind + "\" is not a model; use one of: " + known);
}

std::unique_ptr<nn::Sequential> make_model(const ModelSection& config, Device& device,
                                           std::uint64_t seed) {
  return build_alone(plan_model(config), device, seed);
}

std::vector<std::string> model_kinds() {
  std::vector<std::string> kinds;
  for (const Entry& entry : kModels)
    kinds.push_back(entry.kind);
  return kinds;
}

}  // namespace lockstep
