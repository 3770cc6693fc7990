// SPDX-License-Identifier: Apache-2.0
// GPT-2: a decoder with layernorms, learned positions, GELU and biases.
// A. Radford et al., "Language models are unsupervised multitask learners", 2019.
#pragma once

#include "parallelism/model_plan.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

// tokens [B,T] -> logits [M, this rank's vocabulary];   layers: embedding, blocks, head
ModelPlan plan_gpt(const ModelSection& config);

}  // namespace lockstep
