// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/rmsnorm.hpp"

#include <cmath>

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

constexpr float kEpsilon = 1e-5f;
constexpr std::int64_t kRowsPerThread = 64;

float rstd_of(const float* x, std::int64_t channels) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t c = 0; c < channels; ++c)
    squares += x[c] * x[c];
  return 1.0f / std::sqrt(squares / channels + kEpsilon);
}

// residual may be nullptr.
void backward_row(float* dx, const float* dy, const float* residual, const float* x, float rstd,
                  const float* gamma, std::int64_t channels) {
  float sum_gn = 0;
#pragma omp simd reduction(+ : sum_gn)
  for (std::int64_t c = 0; c < channels; ++c)
    sum_gn += dy[c] * gamma[c] * x[c] * rstd;
  const float mean_gn = sum_gn / channels;
  const auto gradient = [&](std::int64_t c) {
    return rstd * (dy[c] * gamma[c] - x[c] * rstd * mean_gn);
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

void rmsnorm_forward(Tensor& y, Tensor& rstd, const Tensor& x, const Tensor& gamma,
                     Stream& stream) {
  const std::int64_t channels = gamma.count(), rows = x.count() / channels;
  expect(y.count() == x.count() && rstd.count() == rows, "rmsnorm_forward: shapes");
  const double n = x.count();
  const Operation cost{.name = "rmsnorm_forward",
                       .shape = {rows, channels},
                       .flops = 4 * n,
                       .bytes_read = 1.0 * x.bytes(),
                       .bytes_written = 1.0 * y.bytes(),
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [y, rstd, x, gamma, rows, channels]() mutable {
        parallel_ranges(num_threads_for(rows, kRowsPerThread), rows,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          const float* g = gamma.data();
                          for (std::int64_t r = begin; r < end; ++r) {
                            const float* in = x.data() + r * channels;
                            float* out = y.data() + r * channels;
                            const float scale = rstd_of(in, channels);
                            rstd.data()[r] = scale;
#pragma omp simd
                            for (std::int64_t c = 0; c < channels; ++c)
                              out[c] = in[c] * scale * g[c];
                          }
                        });
      },
      [&] { cuda::rmsnorm_forward(y, rstd, x, gamma, stream); });
}

void rmsnorm_backward_input(Tensor& dx, const Tensor& dy, const Tensor& residual, const Tensor& x,
                            const Tensor& rstd, const Tensor& gamma, Stream& stream) {
  const std::int64_t channels = gamma.count(), rows = x.count() / channels;
  expect(dx.count() == x.count() && dy.count() == x.count(), "rmsnorm_backward_input: shapes");
  const double n = x.count();
  const Operation cost{.name = "rmsnorm_backward_input",
                       .shape = {rows, channels},
                       .flops = 9 * n,
                       .bytes_read = 1.0 * (dy.bytes() + x.bytes() + residual.bytes()),
                       .bytes_written = 1.0 * dx.bytes(),
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [dx, dy, residual, x, rstd, gamma, rows, channels]() mutable {
        parallel_ranges(num_threads_for(rows, kRowsPerThread), rows,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t r = begin; r < end; ++r) {
                            const std::int64_t at = r * channels;
                            backward_row(dx.data() + at, dy.data() + at,
                                         residual ? residual.data() + at : nullptr, x.data() + at,
                                         rstd.data()[r], gamma.data(), channels);
                          }
                        });
      },
      [&] { cuda::rmsnorm_backward_input(dx, dy, residual, x, rstd, gamma, stream); });
}

void rmsnorm_backward_weight(Tensor& dgamma, const Tensor& dy, const Tensor& x, const Tensor& rstd,
                             Stream& stream) {
  const std::int64_t channels = dgamma.count(), rows = x.count() / channels;
  expect(dy.count() == x.count(), "rmsnorm_backward_weight: shapes");
  const double n = x.count();
  const Operation cost{.name = "rmsnorm_backward_weight",
                       .shape = {rows, channels},
                       .flops = 3 * n,
                       .bytes_read = 1.0 * (dy.bytes() + x.bytes()),
                       .bytes_written = 4.0 * channels,
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [dgamma, dy, x, rstd, rows, channels]() mutable {
        float* dg = dgamma.data();
        // Threads own channels and sum over all rows in order.
        parallel_ranges(num_threads_for(rows * channels, 65536), channels,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t r = 0; r < rows; ++r) {
                            const float *gy = dy.data() + r * channels,
                                        *in = x.data() + r * channels;
                            const float scale = rstd.data()[r];
#pragma omp simd
                            for (std::int64_t c = begin; c < end; ++c)
                              dg[c] += gy[c] * in[c] * scale;
                          }
                        });
      },
      [&] { cuda::rmsnorm_backward_weight(dgamma, dy, x, rstd, stream); });
}

}  // namespace lockstep::kernels
