// SPDX-License-Identifier: Apache-2.0
// A feed-forward language model: the embeddings of the last `context` tokens, `layers` hidden
// layers of `ffn` GELU units, and a linear head. Y. Bengio et al., "A neural probabilistic language
// model", JMLR 3, 2003. Weights start at N(0, 1/inputs).
#pragma once

#include "runtime/config/job_config.hpp"
#include "runtime/nn/sequential.hpp"

namespace lockstep {

// tokens [B,T] -> logits [B,T,V]
std::unique_ptr<nn::Sequential> make_mlp(const ModelSection& config, Device& device,
                                         std::uint64_t seed);

}  // namespace lockstep
