// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/layernorm.hpp"

#include <cmath>

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

constexpr float kEpsilon = 1e-5f;
constexpr std::int64_t kRowsPerThread = 64;

struct Row {
  float mean, rstd;
};

Row statistics_of(const float* x, std::int64_t channels) {
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < channels; ++c)
    sum += x[c];
  const float mean = sum / channels;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t c = 0; c < channels; ++c)
    squares += (x[c] - mean) * (x[c] - mean);
  return {mean, 1.0f / std::sqrt(squares / channels + kEpsilon)};
}

// residual may be nullptr.
void backward_row(float* dx, const float* dy, const float* residual, const float* x, Row row,
                  const float* gamma, std::int64_t channels) {
  float sum_g = 0, sum_gn = 0;
#pragma omp simd reduction(+ : sum_g, sum_gn)
  for (std::int64_t c = 0; c < channels; ++c) {
    const float g = dy[c] * gamma[c];
    sum_g += g;
    sum_gn += g * (x[c] - row.mean) * row.rstd;
  }
  const float mean_g = sum_g / channels, mean_gn = sum_gn / channels;
  const auto gradient = [&](std::int64_t c) {
    const float n = (x[c] - row.mean) * row.rstd;
    return row.rstd * (dy[c] * gamma[c] - mean_g - n * mean_gn);
  };
  if (residual) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c)
      dx[c] = residual[c] + gradient(c);
  } else {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c)
      dx[c] = gradient(c);
  }
}

}  // namespace

void layernorm_forward(Tensor& y, LayerNormStatistics& statistics, const Tensor& x,
                       const Tensor& gamma, const Tensor& beta, Stream& stream) {
  const std::int64_t channels = gamma.count(), rows = x.count() / channels;
  const double n = x.count();
  const Operation cost{.name = "layernorm_forward",
                       .shape = {rows, channels},
                       .flops = 7 * n,
                       .bytes_read = 1.0 * x.bytes(),
                       .bytes_written = 1.0 * y.bytes(),
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [y, statistics, x, gamma, beta, rows, channels]() mutable {
        parallel_ranges(num_threads_for(rows, kRowsPerThread), rows,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          const float *g = gamma.data(), *b = beta.data();
                          for (std::int64_t r = begin; r < end; ++r) {
                            const float* in = x.data() + r * channels;
                            float* out = y.data() + r * channels;
                            const Row row = statistics_of(in, channels);
                            statistics.mean.data()[r] = row.mean;
                            statistics.rstd.data()[r] = row.rstd;
#pragma omp simd
                            for (std::int64_t c = 0; c < channels; ++c) {
                              out[c] = (in[c] - row.mean) * row.rstd * g[c] + b[c];
                            }
                          }
                        });
      },
      [&] { cuda::layernorm_forward(y, statistics, x, gamma, beta, stream); });
}

void layernorm_backward_input(Tensor& dx, const Tensor& dy, const Tensor& residual, const Tensor& x,
                              const LayerNormStatistics& statistics, const Tensor& gamma,
                              Stream& stream) {
  const std::int64_t channels = gamma.count(), rows = x.count() / channels;
  const double n = x.count();
  const Operation cost{.name = "layernorm_backward_input",
                       .shape = {rows, channels},
                       .flops = 12 * n,
                       .bytes_read = 1.0 * (dy.bytes() + x.bytes() + residual.bytes()),
                       .bytes_written = 1.0 * dx.bytes(),
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [dx, dy, residual, x, statistics, gamma, rows, channels]() mutable {
        parallel_ranges(num_threads_for(rows, kRowsPerThread), rows,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t r = begin; r < end; ++r) {
                            const std::int64_t at = r * channels;
                            backward_row(dx.data() + at, dy.data() + at,
                                         residual ? residual.data() + at : nullptr, x.data() + at,
                                         {statistics.mean.data()[r], statistics.rstd.data()[r]},
                                         gamma.data(), channels);
                          }
                        });
      },
      [&] { cuda::layernorm_backward_input(dx, dy, residual, x, statistics, gamma, stream); });
}

void layernorm_backward_weight(Tensor& dgamma, Tensor& dbeta, const Tensor& dy, const Tensor& x,
                               const LayerNormStatistics& statistics, Stream& stream) {
  const std::int64_t channels = dgamma.count(), rows = x.count() / channels;
  const double n = x.count();
  const Operation cost{.name = "layernorm_backward_weight",
                       .shape = {rows, channels},
                       .flops = 5 * n,
                       .bytes_read = 1.0 * (dy.bytes() + x.bytes()),
                       .bytes_written = 8.0 * channels,
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [dgamma, dbeta, dy, x, statistics, rows, channels]() mutable {
        float *dg = dgamma.data(), *db = dbeta.data();
        const float *mean = statistics.mean.data(), *rstd = statistics.rstd.data();
        // Threads own channels and sum over all rows in order.
        parallel_ranges(num_threads_for(rows * channels, 65536), channels,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t r = 0; r < rows; ++r) {
                            const float *gy = dy.data() + r * channels,
                                        *in = x.data() + r * channels;
#pragma omp simd
                            for (std::int64_t c = begin; c < end; ++c) {
                              dg[c] += gy[c] * (in[c] - mean[r]) * rstd[r];
                              db[c] += gy[c];
                            }
                          }
                        });
      },
      [&] { cuda::layernorm_backward_weight(dgamma, dbeta, dy, x, statistics, stream); });
}

}  // namespace lockstep::kernels
