// SPDX-License-Identifier: Apache-2.0
// Text from a language model, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lockstep {

struct GenerateOptions {
  std::int64_t length = 200;
  std::int64_t sequence = 256;  // tokens the model sees at most
  double temperature = 0.8;     // 0: always the likeliest token
  std::uint64_t seed = 1;
};

// Logits of the token that follows these, the same on every rank; none: stop.
using NextLogits = std::function<std::vector<float>(const std::vector<std::int32_t>& tokens)>;

// Continues `prompt` (at least one token). Number i is drawn with Philox number i of the seed, so
// every rank that runs this gets the same tokens. One forward pass over the window per token.
std::vector<std::int32_t> generate(const NextLogits& next, const std::vector<std::int32_t>& prompt,
                                   const GenerateOptions& options);

// An index drawn from softmax(logits / temperature) with u in [0, 1).
std::int32_t draw_token(const std::vector<float>& logits, double temperature, double u);

// Bytes for a terminal: what is neither printable ASCII, tab nor newline becomes '.'.
std::string printable(const std::vector<std::int32_t>& bytes);

}  // namespace lockstep
