// SPDX-License-Identifier: Apache-2.0
// 8-bit integers travel, with a float32 scale for each 256 of them (coded_sum.hpp); error feedback.
//   bytes  2(p-1) * (m + 4 ceil(m/256)), m = ceil(n/p)   sent per rank: a quarter of float32
//   error  half a scale per contribution, and half the scale of the sum; made good in later sums
// T. Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", ICLR 2016; F. Seide et al.,
// "1-Bit Stochastic Gradient Descent", Interspeech 2014 (feedback).
#include "collectives/compression/coded_sum.hpp"
#include "collectives/compression/table.hpp"

namespace lockstep {

namespace {

std::unique_ptr<Compression> make(const Communicator& group, Device& device,
                                  const BucketParts& parts, const CompressionOptions&) {
  return make_coded_sum(kernels::Code::int8, Feedback::error, group, device, parts);
}

double bytes_sent(int ranks, const BucketParts& parts, const CompressionOptions&) {
  return coded_sum_bytes(kernels::Code::int8, ranks, parts);
}

}  // namespace

extern const CompressionMethod compression_int8{"int8", make, bytes_sent};

}  // namespace lockstep
