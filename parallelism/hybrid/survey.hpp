// SPDX-License-Identifier: Apache-2.0
// What each layer of a model costs and is made of, before any is built: from the dry device, where
// a layer is a recording. The same on every rank.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parallelism/model_plan.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

struct LayerSurvey {
  double cost = 0;           // of forward and backward, in FLOPs and bytes alike (see survey.cpp)
  std::int64_t columns = 0;  // of its output
  std::vector<std::string>
      parameters{};  // names, in the order of forward; a shared one at its first
};

// One micro-batch of `samples` sequences on rank 0 of `tensor` ranks.
std::vector<LayerSurvey> survey(const ModelPlan& plan, const JobConfig& job, int tensor,
                                std::int64_t samples);

// How a model is cut into the parts of a pipeline: so that the most expensive one is as cheap as
// can be, or, as other software does (job.software), with as many blocks in each part, the
// embedding before them in the first and the head behind them in the last. By cost where that does
// not divide.
enum class Cut : std::uint8_t { by_cost, even_blocks };
Cut cut_of(const JobConfig& job);

// The parts of a pipeline as partition() returns them.
std::vector<int> cut_layers(const std::vector<LayerSurvey>& layers, int parts, Cut how);

}  // namespace lockstep
