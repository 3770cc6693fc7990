// SPDX-License-Identifier: Apache-2.0
#include "parallelism/data/tree_gradients.hpp"

#include <string>
#include <utility>

#include "parallelism/data/gradient_buckets.hpp"
#include "parallelism/data/tree_sum.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

constexpr std::int64_t kLine = 64 / sizeof(float);

void check_tree(std::int64_t micro_batches, int data_ranks) {
  if (fits_tree(micro_batches, data_ranks)) return;
  throw ConfigError("job.determinism = \"layout\" adds micro-batches in pairs, but each of " +
                    std::to_string(data_ranks) + " data ranks has " +
                    std::to_string(micro_batches) +
                    ", which is no power of two: choose batch.global, batch.micro and " +
                    "parallel.data so that batch.global / (batch.micro x parallel.data) is one");
}

// The tree is summed by the host, where the messages come in.
void check_device(const Device& device) {
  if (device.kind() != DeviceKind::cuda) return;
  throw ConfigError(
      "job.determinism = \"layout\" is not for job.device = \"cuda\": use \"run\", or the device "
      "\"cpu\"");
}

Tensor zeroed(Device& device, std::shared_ptr<void> memory, std::int64_t count) {
  Tensor flat = Tensor::over(device, std::move(memory), {count});
  kernels::fill(flat, 0.0f, device.compute());
  return flat;
}

}  // namespace

TreeGradients::TreeGradients(const std::vector<LayerParameters>& layers, Communicator data,
                             const DataParallelOptions& options)
    : data_(std::move(data)), micro_batches_(options.micro_batches) {
  check_tree(micro_batches_, data_.size());
  for (const LayerParameters& layer : layers)
    parameters_.insert(parameters_.end(), layer.parameters.begin(), layer.parameters.end());
  if (parameters_.empty()) return;
  check_device(parameters_.front()->value.device());
  add_buckets(options.bucket_bytes);
  for (const EarlierSum& e : options.earlier_sums)
    gradients_.at(e.parameter).later = e.group;
}

// Buckets in backward's order, as without the tree; a second use lies before the first.
void TreeGradients::add_buckets(std::size_t bucket_bytes) {
  std::vector<std::int64_t> counts;
  for (const Parameter* p : parameters_) {
    const std::int64_t lines = (p->value.count() + kLine - 1) / kLine * kLine;
    counts.push_back(p->second_grad ? 2 * lines : lines);
  }
  const BucketLayout layout = layout_buckets(counts, bucket_bytes);
  Device& device = parameters_.front()->value.device();
  const auto allocate = [&](std::int64_t count, MemoryUse use) {
    const MemoryScope scope(device, use);
    const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
    return zeroed(device, data_.allocate(bytes), count);
  };
  for (std::int64_t count : layout.bucket_counts) {
    const std::int64_t even = kLine * data_.size();
    count = (count + even - 1) / even * even;
    Bucket bucket{.flat = allocate(count, MemoryUse::gradients), .received = {}};
    if (data_.size() > 1) bucket.received = allocate(count, MemoryUse::buffers);
    for (int level = 0; level < levels_of(micro_batches_); ++level) {
      const MemoryScope scope(device, MemoryUse::gradients);
      bucket.kept.push_back(Tensor::empty(device, {count}));
    }
    buckets_.push_back(std::move(bucket));
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto [index, offset] = layout.places[i];
    place(*parameters_[i], index, offset, offset + counts[i] / 2);
  }
}

void TreeGradients::place(Parameter& p, std::size_t index, std::int64_t first,
                          std::int64_t second) {
  Bucket& bucket = buckets_[index];
  Gradient& gradient = gradients_[&p];
  const auto view = [&](std::int64_t begin) {
    gradient.leaves.push_back({index, begin, begin + p.value.count()});
    return bucket.flat.slice(begin, begin + p.value.count()).view(p.value.shape());
  };
  p.grad = view(first);
  if (p.second_grad) p.second_grad = view(second);
  bucket.missing = ++bucket.parameters;
  pieces_.push_back({p.value, p.grad, &p});
}

void TreeGradients::ready(Parameter& parameter) {
  Gradient& gradient = gradients_.at(&parameter);
  expect(gradient.micro_batches < micro_batches_,
         "a gradient was produced more often than its parameter says");
  if (++gradient.uses < parameter.uses) return;
  gradient.uses = 0;
  for (const Leaf& leaf : gradient.leaves)
    add_to_tree(leaf, gradient.micro_batches);
  if (++gradient.micro_batches < micro_batches_) return;
  Bucket& bucket = buckets_[gradient.leaves.front().bucket];
  if (--bucket.missing == 0) exchange(bucket);
}

void TreeGradients::add_to_tree(const Leaf& leaf, std::int64_t micro_batch) {
  Bucket& bucket = buckets_[leaf.bucket];
  Stream& compute = bucket.flat.device().compute();
  Tensor sum = bucket.flat.slice(leaf.begin, leaf.end);
  const auto kept = [&](int level) {
    return bucket.kept[static_cast<std::size_t>(level)].slice(leaf.begin, leaf.end);
  };
  for (const int level : levels_added(micro_batch, micro_batches_))
    kernels::add(sum, kept(level), compute);
  if (micro_batch + 1 == micro_batches_) return;
  Tensor to = kept(kept_at(micro_batch));
  kernels::copy(to, sum, compute);
  kernels::fill(sum, 0.0f, compute);
}

namespace {

// sum_leaves in the memory of a GPU, by kernels: the same additions. `mine` gets the sum.
void sum_blocks(Tensor& mine, const Tensor& received, int ranks) {
  Stream& compute = mine.device().compute();
  const std::int64_t n = mine.count();
  for (int apart = 1; apart < ranks; apart *= 2) {
    for (int rank = 0; rank + apart < ranks; rank += 2 * apart) {
      Tensor to = received.slice(rank * n, (rank + 1) * n);
      kernels::add(to, received.slice((rank + apart) * n, (rank + apart + 1) * n), compute);
    }
  }
  kernels::copy(mine, received.slice(0, n), compute);
}

}  // namespace

// Each rank sums one block of the bucket, and all get all.
void TreeGradients::exchange(Bucket& bucket) {
  const int ranks = data_.size();
  if (ranks == 1) return;
  const std::int64_t block = bucket.flat.count() / ranks, begin = data_.rank() * block;
  Tensor mine = bucket.flat.slice(begin, begin + block);
  if (bucket.flat.device().kind() == DeviceKind::cuda) {
    data_.all_to_all(bucket.received, bucket.flat).wait();
    sum_blocks(mine, bucket.received, ranks);
    pending_.push_back(data_.all_gather(bucket.flat, mine));
    return;
  }
  in_order(data_.all_to_all(bucket.received, bucket.flat));
  const auto bytes = static_cast<double>(bucket.flat.bytes());
  in_order(data_.run("sum_tree", bucket.flat.count(), bytes, bytes / ranks,
                     [received = bucket.received, mine, block, ranks]() mutable {
                       const auto n = static_cast<std::size_t>(block);
                       sum_leaves(received.data(), n, n, ranks);
                       std::copy_n(received.data(), n, mine.data());
                     }));
  pending_.push_back(data_.all_gather(bucket.flat, mine));
}

void TreeGradients::finish() {
  for (Work& work : pending_)
    work.wait();
  pending_.clear();
  for (Bucket& bucket : buckets_) {
    expect(bucket.missing == 0, "backward left a gradient out");
    bucket.missing = bucket.parameters;
  }
  for (Parameter* p : parameters_) {  // the same order on every rank
    Gradient& gradient = gradients_.at(p);
    gradient.micro_batches = 0;
    if (gradient.later) gradient.later->all_reduce(p->grad, ReduceOp::sum).wait();
    add_second_use(*p);
  }
}

std::unique_ptr<DataParallel> make_tree_gradients(const std::vector<LayerParameters>& layers,
                                                  const Communicator& data,
                                                  const DataParallelOptions& options) {
  return std::make_unique<TreeGradients>(layers, data, options);
}

}  // namespace lockstep
