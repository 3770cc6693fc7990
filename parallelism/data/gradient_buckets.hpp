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

#include "collectives/compression/table.hpp"
#include "runtime/nn/parameter.hpp"

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

class GradientBuckets {
 public:
  // Points every parameter's gradient into a bucket and zeroes it.
  GradientBuckets(std::vector<Parameter*> parameters, Communicator data, std::size_t bucket_bytes,
                  const CompressionOptions& compression = {});

  // Listener for the stash of the last micro-batch of a step: counts the uses of each parameter
  // and starts the sum of a bucket when it is complete.
  void ready(Parameter& parameter);
  // Waits for every bucket. Each must have been completed by ready(). Returns the seconds that the
  // caller spent in communication, here and in ready(): what computation did not hide.
  double finish();

  std::vector<Tensor> flat() const;  // the buckets, for norms
  std::size_t num_buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    Tensor flat;
    int uses = 0;     // of all its parameters, in one backward pass
    int missing = 0;  // of those, still to come in this step
    std::unique_ptr<Compression> sum{};
  };

  Communicator data_;
  std::vector<Bucket> buckets_;
  std::unordered_map<const Parameter*, std::size_t> bucket_of_;
  std::vector<Work> pending_;
  double exposed_seconds_ = 0;
};

}  // namespace lockstep
