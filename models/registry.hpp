// SPDX-License-Identifier: Apache-2.0
// Every model by its name in model.kind. Adding one: its two files and one line in registry.cpp,
// which also says what its layers cannot do: plan offers no such layouts.
#pragma once

#include <span>

#include "parallelism/model_plan.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

struct ModelKind {
  const char* name;
  ModelPlan (*plan)(const ModelSection&);
  bool cuts_layers = true;  // over a tensor group
  bool recomputes = true;   // its blocks follow parallel.recompute
};

std::span<const ModelKind> model_table();
// ConfigError names those there are.
const ModelKind& find_model_kind(const std::string& name);

// config.vocabulary must be set. Throws ConfigError for an unknown kind, naming those there are.
ModelPlan plan_model(const ModelSection& config);
// All of it on this rank alone.
std::unique_ptr<nn::Sequential> make_model(const ModelSection& config, Device& device,
                                           std::uint64_t seed);

std::vector<std::string> model_kinds();

}  // namespace lockstep
