// SPDX-License-Identifier: Apache-2.0
// What decoder-only transformers have in common. Each is the same rows of layers, with parts of its
// own:
//   x = embedding(tokens);  in each block  x += attention(norm(x)),  x += feed_forward(norm(x));
//   logits = head(norm(x))
// with dropout behind the embedding, on attention weights and behind each branch. Matrices start at
// N(0, 0.02^2), those that end a branch at 0.02 / sqrt(2 layers) (GPT-2).
#pragma once

#include "parallelism/model_plan.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/nn/linear.hpp"
#include "runtime/nn/norm.hpp"

namespace lockstep {

struct DecoderInit {
  Init inner, last;  // of the matrices that end a branch
};

struct Decoder {
  bool learned_positions = false;
  float rotary_base = 0;  // 0: positions are not rotated
  nn::Bias bias = nn::Bias::none;
  std::int64_t kv_heads = 0, ffn = 0;
  std::unique_ptr<nn::Norm> (*norm)(Device&, const std::string& name, std::int64_t channels);
  // C -> ffn -> C
  std::unique_ptr<Module> (*feed_forward)(Build&, const std::string& name, std::int64_t channels,
                                          std::int64_t ffn, const DecoderInit&);
};

// Layers: embedding, blocks, head.
ModelPlan plan_decoder(const ModelSection& config, const Decoder& decoder);

}  // namespace lockstep
