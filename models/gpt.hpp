// SPDX-License-Identifier: Apache-2.0
// GPT-2: a decoder-only transformer with pre-norm blocks and learned positions.
//   x = embedding(tokens);  x += attention(norm1(x));  x += mlp(norm2(x));  ...;  head(norm(x))
// A. Radford et al., "Language models are unsupervised multitask learners", 2019. Matrices start at
// N(0, 0.02^2), those that end a residual branch at 0.02 / sqrt(2 layers).
#pragma once

#include "runtime/config/job_config.hpp"
#include "runtime/nn/sequential.hpp"

namespace lockstep {

// tokens [B,T] -> logits [B,T,V];   layers: embedding, blocks, head
std::unique_ptr<nn::Sequential> make_gpt(const ModelSection& config, Device& device,
                                         std::uint64_t seed);

}  // namespace lockstep
