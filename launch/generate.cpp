// SPDX-License-Identifier: Apache-2.0
#include "launch/generate.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/philox.hpp"

namespace lockstep {

namespace {

std::vector<std::int32_t> last_of(const std::vector<std::int32_t>& tokens, std::int64_t sequence) {
  const auto seen = std::min<std::int64_t>(sequence, static_cast<std::int64_t>(tokens.size()));
  return {tokens.end() - seen, tokens.end()};
}

}  // namespace

std::int32_t draw_token(const std::vector<float>& logits, double temperature, double u) {
  const auto best = std::max_element(logits.begin(), logits.end());
  if (temperature == 0) return static_cast<std::int32_t>(best - logits.begin());
  std::vector<double> weights;
  double sum = 0;
  for (const float logit : logits) {
    weights.push_back(std::exp((logit - *best) / temperature));
    sum += weights.back();
  }
  double below = u * sum;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    below -= weights[i];
    if (below < 0) return static_cast<std::int32_t>(i);
  }
  return static_cast<std::int32_t>(best - logits.begin());  // u * sum was rounded up
}

std::vector<std::int32_t> generate(const NextLogits& next, const std::vector<std::int32_t>& prompt,
                                   const GenerateOptions& options) {
  std::vector<std::int32_t> tokens = prompt;
  const std::uint64_t key = random_key(options.seed, RandomPurpose::sampling);
  for (std::int64_t i = 0; i < options.length; ++i) {
    const std::vector<float> logits = next(last_of(tokens, options.sequence));
    if (logits.empty()) break;
    const double u = uniform01(philox(key, static_cast<std::uint64_t>(i)).word[0]);
    tokens.push_back(draw_token(logits, options.temperature, u));
  }
  return tokens;
}

std::string printable(const std::vector<std::int32_t>& bytes) {
  std::string text;
  for (const std::int32_t b : bytes) {
    const bool shown = (b >= 32 && b < 127) || b == '\n' || b == '\t';
    text += shown ? static_cast<char>(b) : '.';
  }
  return text;
}

}  // namespace lockstep
