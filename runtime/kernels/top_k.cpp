// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/top_k.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <span>
#include <vector>

#include "runtime/base/cuda_built.hpp"
#include "runtime/device/run_on.hpp"

namespace lockstep::kernels {

namespace {

// As integers the magnitudes of floats keep their order.
std::uint32_t magnitude(float x) {
  return std::bit_cast<std::uint32_t>(x) & 0x7fffffffu;
}

// What is taken: all that is larger than `least`, and the first `ties` of what is as large.
struct Threshold {
  std::uint32_t least = 0;
  std::int64_t ties = 0;
};

// The k-th largest magnitude, sixteen bits at a time: two passes.
Threshold threshold(std::span<const float> values, std::int64_t k) {
  Threshold found{.least = 0, .ties = k};
  for (const int shift : {16, 0}) {
    std::vector<std::int32_t> counts(1 << 16);
    for (const float x : values) {
      const std::uint32_t size = magnitude(x);
      if (shift == 16 || size >> 16 == found.least >> 16) ++counts[size >> shift & 0xffff];
    }
    std::uint32_t digit = 0xffff;
    while (counts[digit] < found.ties)
      found.ties -= counts[digit--];
    found.least |= digit << shift;
  }
  return found;
}

void take_on_host(std::span<std::int32_t> pairs, std::span<float> waiting, const float* added) {
  const std::size_t k = pairs.size() / 2;
  for (std::size_t i = 0; i < waiting.size(); ++i)
    waiting[i] += added[i];
  auto [least, ties] = threshold(waiting, static_cast<std::int64_t>(k));
  std::size_t at = 0;
  for (std::size_t i = 0; at < k; ++i) {
    const std::uint32_t size = magnitude(waiting[i]);
    if (size < least || (size == least && ties-- <= 0)) continue;
    pairs[at] = static_cast<std::int32_t>(i);
    pairs[k + at++] = std::bit_cast<std::int32_t>(waiting[i]);
    waiting[i] = 0;
  }
}

void add_on_host(std::span<float> sum, std::span<const std::int32_t> pairs, int ranks) {
  std::fill(sum.begin(), sum.end(), 0.0f);
  const std::size_t k = pairs.size() / 2 / static_cast<std::size_t>(ranks);
  for (std::size_t begin = 0; begin < pairs.size(); begin += 2 * k) {
    for (std::size_t j = begin; j < begin + k; ++j)
      sum[static_cast<std::size_t>(pairs[j])] += std::bit_cast<float>(pairs[k + j]);
  }
}

}  // namespace

Tensor take_largest_workspace(Device& device, std::int64_t n) {
  std::int64_t count = 0;
  if constexpr (kCudaBuilt) {
    if (device.kind() == DeviceKind::cuda) count = cuda::take_largest_workspace(n);
  }
  return Tensor::empty(device, {count}, DType::int32);
}

void take_largest(Tensor& pairs, Tensor& waiting, const Tensor& x, Tensor& workspace,
                  Stream& stream) {
  const std::int64_t n = x.count();
  expect(waiting.count() == n && pairs.count() % 2 == 0 && pairs.count() / 2 <= n,
         "take_largest: shapes");
  expect(n <= std::numeric_limits<std::int32_t>::max(), "an index has 32 bits");
  const Operation cost{.name = "select",
                       .shape = {n},
                       .bytes_read = 5.0 * waiting.bytes(),
                       .bytes_written = 1.0 * waiting.bytes()};
  run_on(
      stream, cost,
      [pairs, waiting, x]() mutable {
        if (pairs.count() > 0)
          take_on_host(pairs.values<std::int32_t>(), waiting.values(), x.data());
      },
      [pairs, waiting, x, workspace, &stream]() mutable {
        if (pairs.count() > 0) cuda::take_largest(pairs, waiting, x, workspace, stream);
      });
}

void add_pairs(Tensor& sum, const Tensor& pairs, int ranks, Stream& stream) {
  expect(pairs.count() % 2 == 0 && pairs.count() / 2 % ranks == 0, "add_pairs: shapes");
  const Operation cost{.name = "add_selected",
                       .shape = {sum.count()},
                       .bytes_read = 1.0 * pairs.bytes(),
                       .bytes_written = 1.0 * sum.bytes()};
  run_on(
      stream, cost,
      [sum, pairs, ranks]() mutable {
        add_on_host(sum.values(), pairs.values<std::int32_t>(), ranks);
      },
      [sum, pairs, ranks, &stream]() mutable { cuda::add_pairs(sum, pairs, ranks, stream); });
}

}  // namespace lockstep::kernels
