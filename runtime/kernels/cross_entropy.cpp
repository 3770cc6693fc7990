// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/cross_entropy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/device/run_on.hpp"
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

// A row's part of the softmax over several ranges.
struct RowStatistics {
  float largest, sum;
};

RowStatistics statistics_of(const float* row, std::int64_t count) {
  float largest = std::numeric_limits<float>::lowest(), sum = 0;
#pragma omp simd reduction(max : largest)
  for (std::int64_t v = 0; v < count; ++v)
    largest = row[v] > largest ? row[v] : largest;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t v = 0; v < count; ++v)
    sum += exponential(row[v] - largest);
  return {largest, sum};
}

bool contains(const VocabularyRange& range, int target) {
  return target >= range.first && target < range.first + range.valid;
}

// row = factor exp(row - largest)
void gradient_row(float* row, std::int64_t count, float largest, float factor) {
#pragma omp simd
  for (std::int64_t v = 0; v < count; ++v)
    row[v] = factor * exponential(row[v] - largest);
}

// Whether some column is the model's choice before the target of logit x, whose column is `place`,
// in the row or outside of it. What is not a number is before everything.
bool is_missed(const float* row, std::int64_t count, std::int64_t place, float x) {
  const std::int64_t before = std::clamp<std::int64_t>(place, 0, count);
  const std::int64_t after = std::clamp<std::int64_t>(place + 1, 0, count);
  int found = 0;
#pragma omp simd reduction(| : found)
  for (std::int64_t v = 0; v < before; ++v)
    found |= row[v] < x ? 0 : 1;
#pragma omp simd reduction(| : found)
  for (std::int64_t v = after; v < count; ++v)
    found |= row[v] <= x ? 0 : 1;
  return found != 0;
}

// body(begin, end) over rows of so many columns.
template <class Body>
void parallel_rows(std::int64_t rows, std::int64_t columns, Body&& body) {
  parallel_ranges(num_threads_for(rows * columns, 16384), rows,
                  [&](int, std::int64_t begin, std::int64_t end) { body(begin, end); });
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
                       .bytes_read = 1.0 * logits.bytes(),
                       .bytes_written = 1.0 * logits.bytes(),
                       .dtype = logits.dtype()};
  run_on(
      stream, cost,
      [losses, logits, targets, scale, rows, V]() mutable {
        parallel_rows(rows, V, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = begin; r < end; ++r) {
            losses.data()[r] =
                cross_entropy_row(logits.data() + r * V, V, targets.data<int>()[r], scale);
          }
        });
      },
      [&] { cuda::cross_entropy(losses, logits, targets, scale, stream); });
}

void cross_entropy_statistics(Tensor& stats, const Tensor& logits, const Tensor& targets,
                              const VocabularyRange& range, Stream& stream) {
  const std::int64_t M = targets.count(), V = logits.dim(-1);
  expect(logits.count() == M * V && stats.count() == 3 * M && range.valid <= V,
         "cross_entropy_statistics: shapes");
  const double n = logits.count();
  const Operation cost{.name = "cross_entropy_statistics",
                       .shape = {M, V},
                       .flops = 21 * n,
                       .bytes_read = 1.0 * logits.bytes(),
                       .bytes_written = 12.0 * M,
                       .dtype = logits.dtype()};
  run_on(
      stream, cost,
      [stats, logits, targets, range, M, V]() mutable {
        float *largest = stats.data(), *sum = largest + M, *at_target = sum + M;
        parallel_rows(M, V, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = begin; r < end; ++r) {
            const float* row = logits.data() + r * V;
            const int target = targets.data<int>()[r];
            const RowStatistics s = statistics_of(row, range.valid);
            largest[r] = s.largest;
            sum[r] = s.sum;
            at_target[r] = contains(range, target) ? row[target - range.first] : 0.0f;
          }
        });
      },
      [&] { cuda::cross_entropy_statistics(stats, logits, targets, range, stream); });
}

void cross_entropy_rescale(Tensor& sums, const Tensor& stats, const Tensor& global_max,
                           Stream& stream) {
  const std::int64_t M = global_max.count();
  expect(stats.count() == 3 * M && sums.count() == 2 * M, "cross_entropy_rescale: shapes");
  const Operation cost{.name = "cross_entropy_rescale",
                       .shape = {M},
                       .flops = 20.0 * M,
                       .bytes_read = 16.0 * M,
                       .bytes_written = 8.0 * M};
  run_on(
      stream, cost,
      [sums, stats, global_max, M]() mutable {
        const float *largest = stats.data(), *sum = largest + M, *at_target = sum + M;
        float* out = sums.data();
        const float* of_all = global_max.data();
#pragma omp simd
        for (std::int64_t r = 0; r < M; ++r)
          out[r] = sum[r] * exponential(largest[r] - of_all[r]);
        std::copy(at_target, at_target + M, out + M);
      },
      [&] { cuda::cross_entropy_rescale(sums, stats, global_max, stream); });
}

void cross_entropy_gradient(Tensor& losses, Tensor& logits, const Tensor& targets,
                            const Tensor& global_max, const Tensor& sums,
                            const VocabularyRange& range, float scale, Stream& stream) {
  const std::int64_t M = targets.count(), V = logits.dim(-1);
  expect(logits.count() == M * V && losses.count() == M && global_max.count() == M &&
             sums.count() == 2 * M && range.valid <= V,
         "cross_entropy_gradient: shapes");
  const double n = logits.count();
  const Operation cost{.name = "cross_entropy_gradient",
                       .shape = {M, V},
                       .flops = 20 * n,
                       .bytes_read = 1.0 * logits.bytes(),
                       .bytes_written = 1.0 * logits.bytes(),
                       .dtype = logits.dtype()};
  run_on(
      stream, cost,
      [losses, logits, targets, global_max, sums, range, scale, M, V]() mutable {
        const float *largest = global_max.data(), *sum = sums.data(), *at_target = sum + M;
        parallel_rows(M, V, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = begin; r < end; ++r) {
            float* row = logits.data() + r * V;
            const int target = targets.data<int>()[r];
            losses.data()[r] = std::log(sum[r]) - (at_target[r] - largest[r]);
            gradient_row(row, range.valid, largest[r], scale / sum[r]);
            std::fill(row + range.valid, row + V, 0.0f);
            if (contains(range, target)) row[target - range.first] -= scale;
          }
        });
      },
      [&] {
        cuda::cross_entropy_gradient(losses, logits, targets, global_max, sums, range, scale,
                                     stream);
      });
}

void cross_entropy_misses(Tensor& misses, const Tensor& logits, const Tensor& targets,
                          const Tensor& target_logits, const VocabularyRange& range,
                          Stream& stream) {
  const std::int64_t M = targets.count(), V = logits.dim(-1);
  expect(logits.count() == M * V && misses.count() == M && target_logits.count() == M &&
             range.valid <= V,
         "cross_entropy_misses: shapes");
  const Operation cost{.name = "cross_entropy_misses",
                       .shape = {M, V},
                       .flops = 1.0 * static_cast<double>(logits.count()),
                       .bytes_read = 1.0 * logits.bytes(),
                       .bytes_written = 4.0 * M,
                       .dtype = logits.dtype()};
  run_on(
      stream, cost,
      [misses, logits, targets, target_logits, range, M, V]() mutable {
        parallel_rows(M, V, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = begin; r < end; ++r) {
            const std::int64_t place = targets.data<int>()[r] - range.first;
            const float x = target_logits.data()[r];
            misses.data()[r] = is_missed(logits.data() + r * V, range.valid, place, x) ? 1 : 0;
          }
        });
      },
      [&] { cuda::cross_entropy_misses(misses, logits, targets, target_logits, range, stream); });
}

void add_scaled_sum(Tensor& sum, const Tensor& x, float scale, Stream& stream) {
  const std::int64_t n = x.count();
  const Operation cost{
      .name = "add_scaled_sum", .shape = {n}, .flops = 1.0 * n, .bytes_read = 4.0 * n};
  run_on(
      stream, cost,
      [sum, x, scale]() mutable {
        double total = 0;
        for (float v : x.values())
          total += v;
        *sum.data() += static_cast<float>(scale * total);
      },
      [&] { cuda::add_scaled_sum(sum, x, scale, stream); });
}

}  // namespace lockstep::kernels
