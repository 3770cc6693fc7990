// SPDX-License-Identifier: Apache-2.0
// 16-bit floats travel, float32 is summed (coded_sum.hpp).
//   bytes  2(p-1) * 2 ceil(n/p)   sent per rank: half of float32
//   error  each contribution and the sum are rounded once: at most 2u * sum|x|, with u = 2^-8 in
//          bfloat16 and 2^-11 in float16, where what lies below 2^-14 is rounded to 2^-25 and
//          what lies beyond 65504 becomes infinite
// P. Micikevicius et al., "Mixed Precision Training", ICLR 2018.
#include "collectives/compression/coded_sum.hpp"
#include "collectives/compression/table.hpp"

namespace lockstep {

namespace {

using kernels::Code;

template <Code code>
std::unique_ptr<Compression> make(const Communicator& group, Device& device,
                                  const BucketParts& parts, const CompressionOptions&) {
  return make_coded_sum(code, Feedback::none, group, device, parts);
}

template <Code code>
double bytes_sent(int ranks, const BucketParts& parts, const CompressionOptions&) {
  return coded_sum_bytes(code, ranks, parts);
}

}  // namespace

extern const CompressionMethod compression_bfloat16{"bfloat16", make<Code::bfloat16>,
                                                    bytes_sent<Code::bfloat16>};
extern const CompressionMethod compression_float16{"float16", make<Code::float16>,
                                                   bytes_sent<Code::float16>};

}  // namespace lockstep
