// SPDX-License-Identifier: Apache-2.0
#include "runtime/optim/table.hpp"

#include <string>

#include "runtime/base/error.hpp"

namespace lockstep {

extern const OptimizerKind adamw_optimizer, sgd_optimizer;

namespace {

constexpr const OptimizerKind* kOptimizerKinds[] = {
    &adamw_optimizer,
    &sgd_optimizer,
};

}  // namespace

std::span<const OptimizerKind* const> optimizer_kinds() {
  return kOptimizerKinds;
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
