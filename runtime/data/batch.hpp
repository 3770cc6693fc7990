// SPDX-License-Identifier: Apache-2.0
// A batch in host memory, and how the global batch of a step is cut.   B sequences, T tokens
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/data/corpus.hpp"

namespace lockstep {

struct HostBatch {
  std::vector<std::int32_t> tokens;   // [B,T]
  std::vector<std::int32_t> targets;  // [B,T], the tokens shifted by one
  std::int64_t batch = 0, sequence = 0;
  std::int64_t first_sample = 0;  // global index of its first sequence, since the start of training

  bool operator==(const HostBatch&) const = default;
};

// The sequences that start at the given tokens of the range, one per start.
HostBatch read_batch(const TokenRange& range, std::span<const std::int64_t> starts,
                     std::int64_t sequence, std::int64_t first_sample);

// How a step's sequences are shared: `data` ranks, each `count` micro-batches of `micro`.
struct BatchSplit {
  std::int64_t global, data, micro, count;

  // Global index of the first sequence of a micro-batch.
  std::int64_t first_sample(std::int64_t step, std::int64_t data_rank, std::int64_t index) const {
    return step * global + data_rank * (global / data) + index * micro;
  }
};

// `micro` 0: all of a rank's sequences at once. ConfigError unless global = data x micro x count.
BatchSplit split_batch(std::int64_t global, std::int64_t micro, std::int64_t data_degree);

}  // namespace lockstep
