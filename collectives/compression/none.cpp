// SPDX-License-Identifier: Apache-2.0
// No compression: float32 travels.
//   bytes  2(p-1)/p * 4n   sent per rank
#include "collectives/compression/table.hpp"

namespace lockstep {

namespace {

class None : public Compression {
 public:
  Work all_reduce(const Communicator& group, Tensor& bucket) override {
    return group.all_reduce(bucket, ReduceOp::sum);
  }
};

std::unique_ptr<Compression> make(const Communicator&, Device&, const BucketParts&,
                                  const CompressionOptions&) {
  return std::make_unique<None>();
}

double bytes_sent(int p, const BucketParts& parts, const CompressionOptions&) {
  return 2.0 * (p - 1) / p * sizeof(float) * static_cast<double>(parts.count);
}

}  // namespace

extern const CompressionMethod compression_none{"none", make, bytes_sent};

}  // namespace lockstep
