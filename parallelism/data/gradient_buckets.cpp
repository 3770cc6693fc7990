// SPDX-License-Identifier: Apache-2.0
#include "parallelism/data/gradient_buckets.hpp"

#include <utility>

#include "runtime/base/clock.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

BucketLayout layout_buckets(const std::vector<std::int64_t>& counts, std::size_t bucket_bytes) {
  constexpr std::int64_t kLine = 64 / sizeof(float);
  const auto limit = static_cast<std::int64_t>(bucket_bytes / sizeof(float));
  BucketLayout layout{.places = std::vector<BucketLayout::Place>(counts.size()),
                      .bucket_counts = {}};
  std::int64_t filled = limit;  // as if a bucket before the first were full
  for (std::size_t i = counts.size(); i-- > 0;) {
    if (filled >= limit) {
      layout.bucket_counts.push_back(0);
      filled = 0;
    }
    layout.places[i] = {layout.bucket_counts.size() - 1, filled};
    filled += (counts[i] + kLine - 1) / kLine * kLine;
    layout.bucket_counts.back() = filled;
  }
  return layout;
}

namespace {

// What each bucket is made of. A gradient of more than two dimensions is a matrix of its first.
std::vector<BucketParts> parts_of(const BucketLayout& layout,
                                  const std::vector<Parameter*>& parameters) {
  std::vector<BucketParts> all;
  for (const std::int64_t count : layout.bucket_counts)
    all.push_back({.count = count});
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Tensor& value = parameters[i]->value;
    const auto [bucket, offset] = layout.places[i];
    const std::int64_t rows = value.count() > 0 ? value.dim(0) : 0;
    all[bucket].parts.push_back({offset, rows, rows > 0 ? value.count() / rows : 0});
  }
  return all;
}

Tensor flat_gradients(Device& device, const Communicator& data, std::int64_t count) {
  const MemoryScope scope(device, MemoryUse::gradients);
  return Tensor::over(device, data.allocate(static_cast<std::size_t>(count) * sizeof(float)),
                      {count});
}

std::unique_ptr<Compression> compression_of(Device& device, const Communicator& data,
                                            const BucketParts& parts,
                                            const CompressionOptions& options) {
  const MemoryScope scope(device, MemoryUse::buffers);
  return make_compression(data, device, parts, options);
}

}  // namespace

GradientBuckets::GradientBuckets(std::vector<Parameter*> parameters, Communicator data,
                                 std::size_t bucket_bytes, const CompressionOptions& compression)
    : data_(std::move(data)) {
  std::vector<std::int64_t> counts;
  counts.reserve(parameters.size());
  for (const Parameter* p : parameters)
    counts.push_back(p->value.count());
  const BucketLayout layout = layout_buckets(counts, bucket_bytes);

  for (const BucketParts& parts : parts_of(layout, parameters)) {
    Device& device = parameters.front()->value.device();
    buckets_.push_back({.flat = flat_gradients(device, data_, parts.count),
                        .sum = compression_of(device, data_, parts, compression)});
    kernels::fill(buckets_.back().flat, 0.0f, device.compute());
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = *parameters[i];
    const auto [index, offset] = layout.places[i];
    Bucket& bucket = buckets_[index];
    p.grad = bucket.flat.slice(offset, offset + counts[i]).view(p.value.shape());
    bucket.uses += p.uses;
    bucket.missing += p.uses;
    bucket_of_[&p] = index;
  }
}

void GradientBuckets::ready(Parameter& parameter) {
  Bucket& bucket = buckets_[bucket_of_.at(&parameter)];
  expect(bucket.missing > 0, "a gradient was produced more often than its parameter says");
  if (--bucket.missing > 0) return;
  const double begin = now();  // all of the sum, where the caller drives communication
  pending_.push_back(bucket.sum->all_reduce(data_, bucket.flat));
  exposed_seconds_ += now() - begin;
}

double GradientBuckets::finish() {
  expect(pending_.size() == buckets_.size(), "backward left a gradient out");
  const double begin = now();
  for (Work& work : pending_)
    work.wait();
  pending_.clear();
  for (Bucket& bucket : buckets_)
    bucket.missing = bucket.uses;
  return std::exchange(exposed_seconds_, 0.0) + now() - begin;
}

std::vector<Tensor> GradientBuckets::flat() const {
  std::vector<Tensor> all;
  for (const Bucket& bucket : buckets_)
    all.push_back(bucket.flat);
  return all;
}

}  // namespace lockstep
