// SPDX-License-Identifier: Apache-2.0
// The micro-batches of one data rank in training order, prepared ahead by a thread. Windows of
// `sequence` tokens, none overlapping, are visited in the order of SampleOrder; the ranks together
// read the serial global batch, in its order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <queue>
#include <thread>

#include "runtime/data/batch.hpp"
#include "runtime/data/sample_order.hpp"

namespace lockstep {

// Windows of `sequence` tokens, each with the token that follows it. ConfigError if there is none.
std::int64_t count_windows(const TokenRange& range, std::int64_t sequence);

struct LoaderOptions {
  std::int64_t global = 8;
  std::int64_t micro = 0;  // 0: global / data_degree
  std::int64_t data_rank = 0, data_degree = 1;
  std::int64_t sequence = 256;
  std::int64_t seed = 1;
  std::int64_t first_step = 0;  // a resumed run continues here
};

// The same micro-batches without a thread, any of them at any time.
class BatchReader {
 public:
  BatchReader(TokenRange range, const LoaderOptions& options);

  const BatchSplit& split() const { return split_; }
  HostBatch read(std::int64_t step, std::int64_t index) const;

 private:
  TokenRange range_;
  LoaderOptions options_;
  BatchSplit split_;
  SampleOrder order_;
};

class BatchLoader {
 public:
  BatchLoader(TokenRange range, const LoaderOptions& options);
  ~BatchLoader();

  const BatchSplit& split() const { return reader_.split(); }
  HostBatch next();  // throws what reading it threw

 private:
  void prefetch();
  bool push(HostBatch batch);  // false: time to stop

  BatchReader reader_;
  std::int64_t first_step_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<HostBatch> ready_;
  std::exception_ptr error_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace lockstep
