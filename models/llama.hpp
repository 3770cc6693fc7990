// SPDX-License-Identifier: Apache-2.0
// Llama: a decoder with RMSNorm, rotary positions, SwiGLU, grouped-query attention and no biases.
// H. Touvron et al., "LLaMA", 2023, and "Llama 2", 2023. Queries, keys and values are one matrix,
// and so are gate and up: each the matrices of the published weights, one below the other.
#pragma once

#include "parallelism/model_plan.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

// tokens [B,T] -> logits [M, this rank's vocabulary];   layers: embedding, blocks, head
ModelPlan plan_llama(const ModelSection& config);

// model.ffn where it is 0.
std::int64_t usual_llama_ffn(std::int64_t hidden);

}  // namespace lockstep
