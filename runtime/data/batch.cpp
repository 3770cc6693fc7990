// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/batch.hpp"

#include <algorithm>
#include <string>

#include "runtime/base/error.hpp"

namespace lockstep {

HostBatch read_batch(const TokenRange& range, std::span<const std::int64_t> starts,
                     std::int64_t sequence, std::int64_t first_sample) {
  HostBatch result;
  result.batch = static_cast<std::int64_t>(starts.size());
  result.sequence = sequence;
  result.first_sample = first_sample;
  result.tokens.reserve(result.batch * sequence);
  result.targets.reserve(result.batch * sequence);

  std::vector<std::int32_t> window(sequence + 1);
  for (const std::int64_t start : starts) {
    expect(start >= 0 && start + sequence < range.size(), "window outside its range");
    range.source->read(range.begin + start, window);
    result.tokens.insert(result.tokens.end(), window.begin(), window.end() - 1);
    result.targets.insert(result.targets.end(), window.begin() + 1, window.end());
  }
  return result;
}

BatchSplit split_batch(std::int64_t global, std::int64_t micro, std::int64_t data_degree) {
  expect(global > 0 && micro >= 0 && data_degree > 0, "sizes of a batch are checked before");
  const std::string said = "batch.global = " + std::to_string(global) + " is not a multiple of ";
  const std::string degree = std::to_string(data_degree);
  if (global % data_degree != 0) throw ConfigError(said + "parallel.data = " + degree);
  const std::int64_t share = global / data_degree;
  if (micro == 0) micro = share;
  if (share % micro != 0) {
    throw ConfigError(said + "parallel.data x batch.micro = " + degree + " x " +
                      std::to_string(micro) + " = " + std::to_string(data_degree * micro));
  }
  return {global, data_degree, micro, share / micro};
}

}  // namespace lockstep
