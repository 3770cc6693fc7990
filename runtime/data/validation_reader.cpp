// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/validation_reader.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "runtime/base/error.hpp"

namespace lockstep {

ValidationReader::ValidationReader(TokenRange range, const ValidationOptions& options)
    : range_(std::move(range)), options_(options) {
  if (range_.size() > options_.sequence) return;
  throw ConfigError("model.sequence = " + std::to_string(options_.sequence) + " needs " +
                    std::to_string(options_.sequence + 1) + " tokens, but validation has " +
                    std::to_string(range_.size()) +
                    "; raise data.validation_share or use a shorter sequence");
}

HostBatch ValidationReader::validation_batch(std::int64_t k) const {
  expect(k >= 0 && k < options_.batches, "validation batch out of range");
  const std::int64_t total = options_.batch * options_.batches;
  const std::int64_t last_start = range_.size() - options_.sequence - 1;
  const std::int64_t gaps = std::max<std::int64_t>(total - 1, 1);
  std::vector<std::int64_t> starts;
  for (std::int64_t i = k * options_.batch; i < (k + 1) * options_.batch; ++i) {
    starts.push_back(last_start * i / gaps);
  }
  return read_batch(range_, starts, options_.sequence, k * options_.batch);
}

}  // namespace lockstep
