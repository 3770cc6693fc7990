// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/cross_entropy.hpp"

#include <cmath>

#include "runtime/kernels/math.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

float cross_entropy_row(float* row, std::int64_t vocabulary, int target, float scale) {
  float largest = row[0], sum = 0;
#pragma omp simd reduction(max : largest)
  for (std::int64_t v = 0; v < vocabulary; ++v)
    largest = row[v] > largest ? row[v] : largest;
  const float at_target = row[target] - largest;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t v = 0; v < vocabulary; ++v) {
    row[v] = exponential(row[v] - largest);
    sum += row[v];
  }
  const float norm = scale / sum;
#pragma omp simd
  for (std::int64_t v = 0; v < vocabulary; ++v)
    row[v] *= norm;
  row[target] -= scale;
  return std::log(sum) - at_target;
}

}  // namespace

void cross_entropy(Tensor& losses, Tensor& logits, const Tensor& targets, float scale,
                   Stream& stream) {
  const std::int64_t rows = targets.count(), V = logits.dim(-1);
  expect(logits.count() == rows * V && losses.count() == rows, "cross_entropy: shapes");
  const double n = logits.count();
  const Operation cost{.name = "cross_entropy",
                       .shape = {rows, V},
                       .flops = 25 * n,
                       .bytes_read = 4 * n,
                       .bytes_written = 4 * n};
  stream.run(cost, [losses, logits, targets, scale, rows, V]() mutable {
    parallel_ranges(
        num_threads_for(rows * V, 16384), rows, [&](int, std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = begin; r < end; ++r) {
            losses.data()[r] =
                cross_entropy_row(logits.data() + r * V, V, targets.data<int>()[r], scale);
          }
        });
  });
}

void add_scaled_sum(Tensor& sum, const Tensor& x, float scale, Stream& stream) {
  const std::int64_t n = x.count();
  const Operation cost{
      .name = "add_scaled_sum", .shape = {n}, .flops = 1.0 * n, .bytes_read = 4.0 * n};
  stream.run(cost, [sum, x, scale]() mutable {
    double total = 0;
    for (float v : x.values())
      total += v;
    *sum.data() += static_cast<float>(scale * total);
  });
}

}  // namespace lockstep::kernels
