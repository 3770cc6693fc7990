// SPDX-License-Identifier: Apache-2.0
#include "models/registry.hpp"

#include "models/gpt.hpp"
#include "models/mlp.hpp"

namespace lockstep {

namespace {

struct Entry {
  const char* kind;
  std::unique_ptr<nn::Sequential> (*make)(const ModelSection&, Device&, std::uint64_t);
};

constexpr Entry kModels[] = {
    {"gpt", make_gpt},
    {"mlp", make_mlp},
};

}  // namespace

std::unique_ptr<nn::Sequential> make_model(const ModelSection& config, Device& device,
                                           std::uint64_t seed) {
  std::string known;
  for (const Entry& entry : kModels) {
    if (config.kind == entry.kind) return entry.make(config, device, seed);
    known += (known.empty() ? "" : ", ") + std::string(entry.kind);
  }
  throw ConfigError("model.kind = \"" + config.kind + "\" is not a model; use one of: " + known);
}

std::vector<std::string> model_kinds() {
  std::vector<std::string> kinds;
  for (const Entry& entry : kModels)
    kinds.push_back(entry.kind);
  return kinds;
}

}  // namespace lockstep
