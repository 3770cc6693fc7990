// SPDX-License-Identifier: Apache-2.0
#include "parallelism/data/gradient_buckets.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

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

namespace {

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

GradientBuckets::GradientBuckets(const std::vector<LayerParameters>& layers, Communicator data,
                                 const DataParallelOptions& options)
    : data_(std::move(data)), micro_batches_(options.micro_batches) {
  const auto is_earlier = [&](const Parameter* p) {
    return std::any_of(options.earlier_sums.begin(), options.earlier_sums.end(),
                       [p](const EarlierSum& e) { return e.parameter == p; });
  };
  std::vector<Parameter*> usual;
  for (const LayerParameters& layer : layers) {
    for (Parameter* p : layer.parameters) {
      if (!is_earlier(p)) usual.push_back(p);
    }
  }
  add_buckets(usual, options);
  std::map<std::string, std::vector<Parameter*>> of_group;
  for (const EarlierSum& e : options.earlier_sums)
    of_group[e.group.name()].push_back(e.parameter);
  for (const auto& [name, parameters] : of_group) {
    const std::size_t first = buckets_.size();
    add_buckets(parameters, options);
    const auto group = std::find_if(options.earlier_sums.begin(), options.earlier_sums.end(),
                                    [&](const EarlierSum& e) { return e.group.name() == name; });
    for (std::size_t b = first; b < buckets_.size(); ++b)
      buckets_[b].earlier.push_back(group->group);
  }
}

void GradientBuckets::add_buckets(const std::vector<Parameter*>& parameters,
                                  const DataParallelOptions& options) {
  std::vector<std::int64_t> counts;
  counts.reserve(parameters.size());
  for (const Parameter* p : parameters)
    counts.push_back(p->value.count());
  const BucketLayout layout = layout_buckets(counts, options.bucket_bytes);

  const std::size_t first = buckets_.size();
  for (const BucketParts& parts : parts_of(layout, parameters)) {
    Device& device = parameters.front()->value.device();
    buckets_.push_back({.flat = flat_gradients(device, data_, parts.count),
                        .sum = compression_of(device, data_, parts, options.compression)});
    kernels::fill(buckets_.back().flat, 0.0f, device.compute());
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = *parameters[i];
    const auto [index, offset] = layout.places[i];
    Bucket& bucket = buckets_[first + index];
    p.grad = bucket.flat.slice(offset, offset + counts[i]).view(p.value.shape());
    bucket.uses += p.uses * micro_batches_;
    bucket.missing = bucket.uses;
    bucket_of_[&p] = first + index;
    missing_uses_[&p] = p.uses * micro_batches_;
    pieces_.push_back({p.value, p.grad, &p});
  }
}

void GradientBuckets::ready(Parameter& parameter) {
  Bucket& bucket = buckets_[bucket_of_.at(&parameter)];
  std::int64_t& missing = missing_uses_.at(&parameter);
  expect(missing > 0, "a gradient was produced more often than its parameter says");
  if (--missing == 0) add_second_use(parameter);
  if (--bucket.missing == 0 && bucket.earlier.empty())
    pending_.push_back(bucket.sum->all_reduce(data_, bucket.flat));
}

std::vector<Tensor> GradientBuckets::kept() const {
  std::vector<Tensor> all;
  for (const Bucket& bucket : buckets_) {
    for (const Tensor& t : bucket.sum->kept())
      if (t.count() > 0) all.push_back(t);
  }
  return all;
}

void GradientBuckets::finish() {
  for (Bucket& bucket : buckets_) {
    if (bucket.earlier.empty()) continue;
    bucket.earlier.front().all_reduce(bucket.flat, ReduceOp::sum).wait();
    pending_.push_back(bucket.sum->all_reduce(data_, bucket.flat));
  }
  expect(pending_.size() == buckets_.size(), "backward left a gradient out");
  for (Work& work : pending_)
    work.wait();
  pending_.clear();
  for (Bucket& bucket : buckets_)
    bucket.missing = bucket.uses;
  for (auto& [parameter, missing] : missing_uses_)
    missing = parameter->uses * micro_batches_;
}

std::unique_ptr<DataParallel> make_gradient_buckets(const std::vector<LayerParameters>& layers,
                                                    const Communicator& data,
                                                    const DataParallelOptions& options) {
  return std::make_unique<GradientBuckets>(layers, data, options);
}

}  // namespace lockstep
