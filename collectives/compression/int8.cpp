// SPDX-License-Identifier: Apache-2.0
// 8-bit integers travel, with a float32 scale for each 256 of them (coded_sum.hpp); error feedback.
//   code   scale = max|x| / 127, q = round(x / scale)
//   bytes  2(p-1) * (m + 4 ceil(m/256)), m = ceil(n/p)   sent per rank: a quarter of float32
//   error  half a scale per contribution, and half the scale of the sum; made good in later sums
// T. Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", ICLR 2016; F. Seide et al.,
// "1-Bit Stochastic Gradient Descent", Interspeech 2014 (feedback).
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "collectives/compression/coded_sum.hpp"
#include "collectives/compression/table.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kRun = Code::kRun, kCodedRun = sizeof(float) + kRun;  // bytes

std::size_t bytes(std::size_t n) {
  return n + sizeof(float) * ((n + kRun - 1) / kRun);
}

// As integers the magnitudes of floats keep their order, infinity and NaN are the largest.
float largest_magnitude(const float* values, std::size_t n) {
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < n; ++i)
    most = std::max(most, std::bit_cast<std::uint32_t>(values[i]) & 0x7fffffffu);
  return std::bit_cast<float>(most);
}

void encode_run(std::byte* code, const float* values, std::size_t n) {
  float scale = largest_magnitude(values, n) / 127;
  auto* const q = reinterpret_cast<std::int8_t*>(code + sizeof scale);
  if (!std::isfinite(scale)) {  // a value that is no number makes its run none
    scale = std::numeric_limits<float>::quiet_NaN();
    std::fill_n(q, n, std::int8_t{1});
  } else {
    const float divisor = scale > 0 ? scale : 1;
    for (std::size_t i = 0; i < n; ++i)
      q[i] =
          static_cast<std::int8_t>(std::clamp(std::nearbyint(values[i] / divisor), -127.f, 127.f));
  }
  std::memcpy(code, &scale, sizeof scale);
}

void decode_run(float* values, const std::byte* code, std::size_t n) {
  float scale;
  std::memcpy(&scale, code, sizeof scale);
  const auto* const q = reinterpret_cast<const std::int8_t*>(code + sizeof scale);
  for (std::size_t i = 0; i < n; ++i)
    values[i] = scale * static_cast<float>(q[i]);
}

void encode(std::byte* code, const float* values, std::size_t n) {
  for (; n > kRun; n -= kRun, values += kRun, code += kCodedRun)
    encode_run(code, values, kRun);
  if (n > 0) encode_run(code, values, n);
}

void decode(float* values, const std::byte* code, std::size_t n) {
  for (; n > kRun; n -= kRun, values += kRun, code += kCodedRun)
    decode_run(values, code, kRun);
  if (n > 0) decode_run(values, code, n);
}

constexpr Code kCode{bytes, encode, decode, Feedback::error};

std::unique_ptr<Compression> make(const Communicator& group, Device& device,
                                  const BucketParts& parts, const CompressionOptions&) {
  return make_coded_sum(kCode, group, device, parts);
}

double bytes_sent(int ranks, const BucketParts& parts, const CompressionOptions&) {
  return coded_sum_bytes(kCode, ranks, parts);
}

}  // namespace

extern const CompressionMethod compression_int8{"int8", make, bytes_sent};

}  // namespace lockstep
