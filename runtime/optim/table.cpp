// SPDX-License-Identifier: Apache-2.0
#include "runtime/optim/table.hpp"

#include <string>

#include "runtime/base/error.hpp"
#include "runtime/optim/names.hpp"

namespace lockstep {

extern const OptimizerKind adamw_optimizer, sgd_optimizer;

namespace {

constexpr const OptimizerKind* kOptimizerKinds[] = {
    &adamw_optimizer,
    &sgd_optimizer,
};

std::vector<const char*> names() {
  std::vector<const char*> all;
  for (const OptimizerKind* kind : kOptimizerKinds)
    all.push_back(kind->name);
  return all;
}

}  // namespace

std::span<const OptimizerKind* const> optimizer_kinds() {
  return kOptimizerKinds;
}

std::span<const char* const> optimizer_names() {
  static const std::vector<const char*> all = names();
  return all;
}

const OptimizerKind& find_optimizer_kind(std::string_view name) {
  std::string known;
  for (const OptimizerKind* kind : kOptimizerKinds) {
    if (kind->name == name) return *kind;
    known += (known.empty() ? "" : ", ") + std::string(kind->name);
  }
  throw ConfigError("optimizer.kind = \"" + std::string(name) +
                    "\" is not known; use one of: " + known);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerSection& config,
                                          const std::vector<UpdatePiece>& pieces) {
  return find_optimizer_kind(config.kind).make(config, pieces);
}

}  // namespace lockstep
