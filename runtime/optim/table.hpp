// SPDX-License-Identifier: Apache-2.0
// Every optimizer. One is one file of this folder that defines one OptimizerKind, and a line in
// table.cpp; training, predictions of memory, --help-keys and the tests walk this table.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/optim/optimizer.hpp"

namespace lockstep {

using MakeOptimizer = std::unique_ptr<Optimizer>(const OptimizerSection& config,
                                                 const std::vector<UpdatePiece>& pieces);

struct OptimizerKind {
  const char* name;  // as optimizer.kind spells it
  MakeOptimizer* make;
  int states;  // float32 kept per element, besides master copies
};

template <class Kind>
std::unique_ptr<Optimizer> make_optimizer_of(const OptimizerSection& config,
                                             const std::vector<UpdatePiece>& pieces) {
  return std::make_unique<Kind>(config, pieces);
}

std::span<const OptimizerKind* const> optimizer_kinds();
// ConfigError if there is none.
const OptimizerKind& find_optimizer_kind(std::string_view name);

}  // namespace lockstep
