// SPDX-License-Identifier: Apache-2.0
// The local steps of compression on a GPU against the CPU's: the same bits, but of the sums of
// low_rank.hpp, which have another order. Built for a real GPU (label gpu) and for the emulated one
// (label unit).
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include "runtime/kernels/codes.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/low_rank.hpp"
#include "runtime/kernels/top_k.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/gpu.hpp"

using namespace lockstep;
using kernels::Code;
using kernels::CodedBlocks;
using test::Problem;
using Bytes = std::vector<std::uint8_t>;

namespace {

// What is no number has many bits: one of them.
Bytes bytes_of(const Tensor& x) {
  Bytes bytes(x.bytes());
  download(bytes.data(), x, bytes.size());
  if (x.dtype() != DType::float32) return bytes;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t at = 0; at < bytes.size(); at += sizeof kNaN) {
    float value;
    std::memcpy(&value, &bytes[at], sizeof value);
    if (std::isnan(value)) std::memcpy(&bytes[at], &kNaN, sizeof kNaN);
  }
  return bytes;
}

Tensor zeros(const Problem& p, std::int64_t n) {
  Tensor x = p.empty32({n});
  kernels::fill(x, 0.0f, p.stream());
  return x;
}

// With infinity, ties, zeros of both signs and numbers that 16 bits do not hold.
Tensor odd_numbers(const Problem& p, std::int64_t n, std::uint64_t key) {
  constexpr float kOdd[] = {0.0f, -0.0f, 65520.0f, -1e-7f, 3e38f, INFINITY, -1e-40f, 2.5f};
  std::vector<float> values = read_values(p.random32({n}, key, 100));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 700 < std::size(kOdd)) values[i] = kOdd[(i + key) % std::size(kOdd)];
    if (i % 5 == 0) values[i] = std::nearbyint(values[i]);
  }
  Tensor x = p.empty32({n});
  upload(x, values.data(), x.bytes());
  return x;
}

}  // namespace

TEST_CASE("codes and their sums have the bits of the CPU") {
  if (test::no_gpu()) return;
  const auto cpu = make_cpu_device(), gpu = make_cuda_device(0);
  for (const Code code : {Code::bfloat16, Code::float16, Code::int8}) {
    for (const std::int64_t count : {1, 5, 255, 256, 259, 1000, 9001}) {
      for (const int num : {1, 3}) {
        INFO("code " << static_cast<int>(code) << " of " << count << " in " << num << " blocks");
        const CodedBlocks blocks{code, num, count, (count + num - 1) / num};
        const std::int64_t bytes = kernels::code_bytes(code, blocks.block);
        const auto run = [&](const Problem& p) {
          Tensor values = p.random32({count}, 1), lost = p.random32({count}, 2, 0.01f), none;
          Tensor codes = Tensor::empty(p.device, {num * bytes}, DType::uint8);
          Tensor sum = Tensor::empty(p.device, {bytes}, DType::uint8);
          Tensor sum_lost = zeros(p, blocks.block), decoded = p.empty32({count});
          const auto clear = [&] {
            for (Tensor* t : {&codes, &sum}) {
              const Bytes all(t->bytes());
              upload(*t, all.data(), all.size());
            }
          };
          std::vector<Bytes> results;
          for (Tensor* kept : {&lost, &none}) {
            clear();
            kernels::encode_blocks(codes, values, *kept, blocks, p.stream());
            kernels::sum_codes(sum, codes, kept == &none ? none : sum_lost, blocks, 0, p.stream());
            kernels::decode_blocks(decoded, codes, blocks, p.stream());
            for (const Tensor& t : {codes, sum, decoded, sum_lost, lost})
              results.push_back(bytes_of(t));
            values = odd_numbers(p, count, 3);
          }
          return results;
        };
        const bool same = run({*gpu}) == run({*cpu});
        CHECK(same);
      }
    }
  }
}

namespace {

// What is taken of n elements, what is left, and the sum of the pairs.
std::vector<Bytes> largest(const Problem& p, std::int64_t n, std::int64_t k, bool odd) {
  Tensor waiting = p.random32({n}, 1, 0.5f), sum = p.empty32({n});
  const Tensor x = odd ? odd_numbers(p, n, 2) : p.random32({n}, 2);
  if (odd) kernels::fill(waiting, 0.0f, p.stream());  // the same bits after the sum
  Tensor pairs = Tensor::empty(p.device, {2 * k}, DType::int32);
  Tensor workspace = kernels::take_largest_workspace(p.device, n);
  kernels::take_largest(pairs, waiting, x, workspace, p.stream());
  kernels::add_pairs(sum, pairs, 1, p.stream());
  return {bytes_of(pairs), k > 0 ? bytes_of(waiting) : Bytes(), bytes_of(sum)};
}

}  // namespace

TEST_CASE("the largest elements are those of the CPU") {
  if (test::no_gpu()) return;
  const auto cpu = make_cpu_device(), gpu = make_cuda_device(0);
  for (const std::int64_t n : {1, 100, 4096, 4097, 20000}) {
    for (const std::int64_t k : {std::int64_t{0}, std::int64_t{1}, n / 3, n - 1, n}) {
      for (const bool odd : {false, true}) {
        INFO(k << " of " << n << (odd ? ", odd" : ""));
        const bool same = largest({*gpu}, n, k, odd) == largest({*cpu}, n, k, odd);
        CHECK(same);
      }
    }
  }
  // More chunks of 4096 than one block has threads.
  constexpr std::int64_t kMany = 260 * 4096 + 7;
  const bool same = largest({*gpu}, kMany, 30011, true) == largest({*cpu}, kMany, 30011, true);
  CHECK(same);
}

TEST_CASE("pairs of several ranks add up in their order") {
  if (test::no_gpu()) return;
  const auto cpu = make_cpu_device(), gpu = make_cuda_device(0);
  const auto run = [](const Problem& p) {
    constexpr std::int64_t kCount = 600;
    constexpr std::int32_t kTaken = 300, kRanks = 3;
    std::vector<std::int32_t> pairs;
    for (std::int32_t r = 0; r < kRanks; ++r) {
      for (std::int32_t j = 0; j < kTaken; ++j)
        pairs.push_back(2 * j + (r == 1));
      for (std::int32_t j = 0; j < kTaken; ++j)
        pairs.push_back(std::bit_cast<std::int32_t>(0.1f * static_cast<float>(j * (r + 1))));
    }
    Tensor all = Tensor::empty(p.device, {2 * kTaken * kRanks}, DType::int32);
    upload(all, pairs.data(), all.bytes());
    Tensor sum = p.empty32({kCount});
    kernels::add_pairs(sum, all, kRanks, p.stream());
    return bytes_of(sum);
  };
  CHECK(run({*gpu}) == run({*cpu}));
}

namespace {

// P and Q of a bucket in turns, as one rank alone would have them.
std::vector<Tensor> factored(const Problem& p, const kernels::LowRankLayout& layout,
                             std::int64_t count) {
  const auto of = kernels::make_low_rank(p.device, layout);
  Tensor m = zeros(p, count), x = zeros(p, count), left = p.empty32({layout.p_count});
  Tensor q = p.random32({layout.q_count}, 4);
  std::vector<Tensor> results;
  for (std::uint64_t step = 0; step < 2; ++step) {
    kernels::project(left, m, p.random32({count}, 5 + step), q, of, p.stream());
    kernels::project_back(q, left, m, of, p.stream());
    kernels::multiply_factors(x, q, left, of, p.stream());
  }
  return {left, q, m, x};
}

}  // namespace

TEST_CASE("factors of matrices are near those of the CPU, and twice the same") {
  if (test::no_gpu()) return;
  const auto cpu = make_cpu_device(), gpu = make_cuda_device(0);
  // One row behind a range of 512, ranks on both sides of eight columns, one column more than a
  // strip; parts that stay whole, one of them empty.
  const kernels::LowRankLayout layout{
      .matrices = {{0, 513, 33, 9, 0, 0}, {17000, 40, 70, 2, 9 * 513, 9 * 33}},
      .whole = {{16940, 50, 9 * 513 + 80}, {16990, 0, 9 * 513 + 130}, {19900, 100, 9 * 513 + 130}},
      .p_count = 9 * 513 + 230,
      .q_count = 9 * 33 + 140};
  const auto wanted = factored({*cpu}, layout, 20000);
  const auto got = factored({*gpu}, layout, 20000), again = factored({*gpu}, layout, 20000);
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO("result " << i);
    CHECK(test::difference(got[i], wanted[i]) <= 2e-5);
    CHECK(bytes_of(got[i]) == bytes_of(again[i]));
  }
}

TEST_CASE("columns that depend on others are nothing, and start again") {
  if (test::no_gpu()) return;
  const auto cpu = make_cpu_device(), gpu = make_cuda_device(0);
  const kernels::LowRankLayout layout{
      .matrices = {{0, 30, 20, 3, 0, 0}}, .p_count = 90, .q_count = 60};
  const auto run = [&](const Problem& p) {
    const auto of = kernels::make_low_rank(p.device, layout);
    Tensor ones = p.empty32({600}), m = zeros(p, 600), x = zeros(p, 600);
    kernels::fill(ones, 1.0f, p.stream());  // of rank one
    Tensor left = p.empty32({90}), q = p.random32({60}, 4);
    kernels::project(left, m, ones, q, of, p.stream());
    kernels::project_back(q, left, m, of, p.stream());
    kernels::multiply_factors(x, q, left, of, p.stream());
    return std::vector{left, q, x};
  };
  const auto wanted = run({*cpu}), got = run({*gpu});
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK(test::difference(got[i], wanted[i]) <= 1e-5);
  const std::vector<float> left = read_values(got[0]);
  CHECK(std::all_of(left.begin() + 30, left.end(), [](float v) { return v == 0; }));
}
