// SPDX-License-Identifier: Apache-2.0
// A feed-forward language model: the embeddings of the last `context` tokens, `layers` hidden
// layers of `ffn` GELU units, and a linear head. Y. Bengio et al., "A neural probabilistic language
// model", JMLR 3, 2003. Weights start at N(0, 1/inputs). Its layers are not for tensor groups.
#pragma once

#include "parallelism/model_plan.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

// tokens [B,T] -> logits [M,V];   layers: embedding, hidden layers with their units, head
ModelPlan plan_mlp(const ModelSection& config);

}  // namespace lockstep
