// SPDX-License-Identifier: Apache-2.0
// 16-bit floats travel, float32 is summed (coded_sum.hpp).
//   bytes  2(p-1) * 2 ceil(n/p)   sent per rank: half of float32
//   error  each contribution and the sum are rounded once: at most 2u * sum|x|, with u = 2^-8 in
//          bfloat16 and 2^-11 in float16, where what lies below 2^-14 is rounded to 2^-25 and
//          what lies beyond 65504 becomes infinite
// P. Micikevicius et al., "Mixed Precision Training", ICLR 2018.
#include "runtime/base/half.hpp"

#include "collectives/compression/coded_sum.hpp"
#include "collectives/compression/table.hpp"

namespace lockstep {

namespace {

template <class Half>
constexpr Code kCode{.bytes = [](std::size_t n) { return n * sizeof(Half); },
                     .encode =
                         [](std::byte* code, const float* values, std::size_t n) {
                           auto* const halves = reinterpret_cast<Half*>(code);
                           for (std::size_t i = 0; i < n; ++i)
                             halves[i] = Half(values[i]);
                         },
                     .decode =
                         [](float* values, const std::byte* code, std::size_t n) {
                           const auto* const halves = reinterpret_cast<const Half*>(code);
                           for (std::size_t i = 0; i < n; ++i)
                             values[i] = static_cast<float>(halves[i]);
                         }};

template <class Half>
std::unique_ptr<Compression> make(const Communicator& group, Device& device,
                                  const BucketParts& parts, const CompressionOptions&) {
  return make_coded_sum(kCode<Half>, group, device, parts);
}

template <class Half>
double bytes_sent(int ranks, const BucketParts& parts, const CompressionOptions&) {
  return coded_sum_bytes(kCode<Half>, ranks, parts);
}

}  // namespace

extern const CompressionMethod compression_bfloat16{"bfloat16", make<BFloat16>,
                                                    bytes_sent<BFloat16>};
extern const CompressionMethod compression_float16{"float16", make<Float16>, bytes_sent<Float16>};

}  // namespace lockstep
