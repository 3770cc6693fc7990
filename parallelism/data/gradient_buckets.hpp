// SPDX-License-Identifier: Apache-2.0
// Data parallelism: gradients live in flat buckets, laid out in the order in which backward
// produces them. A bucket whose last gradient is ready is summed over the data axis at once, while
// backward goes on with the layers below.
//   volume per step  2 (d-1)/d x parameters x 4 bytes sent per rank (ring), less if compressed
// S. Li et al., "PyTorch Distributed", VLDB 13(12), 2020.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "parallelism/data/data_parallel.hpp"

namespace lockstep {

// Where each gradient lies: pure arithmetic, in elements.
struct BucketLayout {
  struct Place {
    std::size_t bucket;
    std::int64_t offset;
  };
  std::vector<Place> places;                // one per parameter, in the given order
  std::vector<std::int64_t> bucket_counts;  // elements of each bucket
};

// Fills buckets from the last parameter to the first (backward's order); a bucket is closed once it
// holds `bucket_bytes`. Every gradient starts on a 64-byte line.
BucketLayout layout_buckets(const std::vector<std::int64_t>& counts, std::size_t bucket_bytes);

// What each bucket is made of. A gradient of more than two dimensions is a matrix of its first.
std::vector<BucketParts> parts_of(const BucketLayout& layout,
                                  const std::vector<Parameter*>& parameters);

// zero = 0: every data rank has whole values, gradients and states.
class GradientBuckets : public DataParallel {
 public:
  // Points every parameter's gradient into a bucket and zeroes it.
  GradientBuckets(const std::vector<LayerParameters>& layers, Communicator data,
                  const DataParallelOptions& options);

  void ready(Parameter& parameter) override;
  void finish() override;
  const std::vector<Piece>& pieces() const override { return pieces_; }
  void publish() override {}
  bool shards() const override { return false; }
  std::vector<Tensor> kept() const override;

  std::size_t num_buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    Tensor flat;
    std::unique_ptr<Compression> sum{};
    std::int64_t uses = 0;                // of all its parameters, in one step
    std::int64_t missing = 0;             // of those, still to come in this step
    std::vector<Communicator> earlier{};  // summed over this group first, in finish()
  };
  void add_buckets(const std::vector<Parameter*>& parameters, const DataParallelOptions& options);

  Communicator data_;
  std::int64_t micro_batches_;
  std::vector<Bucket> buckets_;
  std::unordered_map<const Parameter*, std::size_t> bucket_of_;
  std::unordered_map<const Parameter*, std::int64_t> missing_uses_;
  std::vector<Piece> pieces_;
  std::vector<Work> pending_;
};

}  // namespace lockstep
