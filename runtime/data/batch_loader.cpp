// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/batch_loader.hpp"

#include <string>
#include <utility>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kPrefetched = 4;  // hides a slow read; more would only hold memory

}  // namespace

std::int64_t count_windows(const TokenRange& range, std::int64_t sequence) {
  if (range.size() > sequence) return (range.size() - 1) / sequence;
  throw ConfigError("model.sequence = " + std::to_string(sequence) + " needs " +
                    std::to_string(sequence + 1) +
                    " tokens, but the training part of data.path has " +
                    std::to_string(range.size()) + "; use more data or a shorter sequence");
}

BatchReader::BatchReader(TokenRange range, const LoaderOptions& options)
    : range_(std::move(range)),
      options_(options),
      split_(split_batch(options.global, options.micro, options.data_degree)),
      order_(count_windows(range_, options.sequence), options.seed) {}

HostBatch BatchReader::read(std::int64_t step, std::int64_t index) const {
  const std::int64_t first = split_.first_sample(step, options_.data_rank, index);
  std::vector<std::int64_t> starts;
  for (std::int64_t i = 0; i < split_.micro; ++i) {
    starts.push_back(order_.window(first + i) * options_.sequence);
  }
  return read_batch(range_, starts, options_.sequence, first);
}

BatchLoader::BatchLoader(TokenRange range, const LoaderOptions& options)
    : reader_(std::move(range), options),
      first_step_(options.first_step),
      thread_([this] { prefetch(); }) {}

BatchLoader::~BatchLoader() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

HostBatch BatchLoader::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty() || error_; });
  if (ready_.empty()) std::rethrow_exception(error_);
  HostBatch batch = std::move(ready_.front());
  ready_.pop();
  lock.unlock();
  changed_.notify_all();
  return batch;
}

void BatchLoader::prefetch() {
  try {
    for (std::int64_t step = first_step_;; ++step) {
      for (std::int64_t index = 0; index < split().count; ++index) {
        if (!push(reader_.read(step, index))) return;
      }
    }
  } catch (...) {
    std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    changed_.notify_all();
  }
}

bool BatchLoader::push(HostBatch batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ready_.size() < kPrefetched || stopping_; });
  if (stopping_) return false;
  ready_.push(std::move(batch));
  lock.unlock();
  changed_.notify_all();
  return true;
}

}  // namespace lockstep
