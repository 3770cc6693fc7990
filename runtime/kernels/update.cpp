// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/update.hpp"

#include <cmath>

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

constexpr std::int64_t kPiece = 65536;

double sum_of_squares(std::span<const float> x) {
  float lanes[16] = {};
  const std::size_t whole = x.size() / 16 * 16;
  for (std::size_t i = 0; i < whole; i += 16) {
#pragma omp simd
    for (std::size_t j = 0; j < 16; ++j)
      lanes[j] += x[i + j] * x[i + j];
  }
  double sum = 0;
  for (float lane : lanes)
    sum += lane;
  for (std::size_t i = whole; i < x.size(); ++i)
    sum += double{x[i]} * x[i];
  return sum;
}

double sum_of_squares_in_pieces(const Tensor& x) {
  const std::int64_t n = x.count(), pieces = (n + kPiece - 1) / kPiece;
  std::vector<double> sums(static_cast<std::size_t>(pieces));
  parallel_ranges(num_threads_for(pieces, 1), pieces,
                  [&](int, std::int64_t begin, std::int64_t end) {
                    for (std::int64_t p = begin; p < end; ++p) {
                      const std::int64_t from = p * kPiece, to = std::min(n, from + kPiece);
                      sums[p] = sum_of_squares({x.data() + from, x.data() + to});
                    }
                  });
  double total = 0;
  for (double s : sums)
    total += s;
  return total;
}

Operation cost_of(const std::vector<AdamWPiece>& pieces) {
  Operation cost{.name = "adamw_update"};
  std::int64_t n = 0;
  for (const AdamWPiece& p : pieces) {
    n += p.value.count();
    cost.bytes_read += 12.0 * p.value.count() + p.gradient.bytes();
    cost.bytes_written += 12.0 * p.value.count() + p.gradient.bytes() + p.copy.bytes();
  }
  cost.shape = {n};
  cost.flops = 15.0 * n;
  return cost;
}

}  // namespace

void squared_sums(Tensor& sums, const std::vector<Tensor>& gradients, Stream& stream) {
  expect(sums.count() == static_cast<std::int64_t>(gradients.size()), "squared_sums: shapes");
  std::int64_t n = 0;
  std::size_t bytes = 0;
  for (const Tensor& g : gradients) {
    n += g.count();
    bytes += g.bytes();
  }
  const Operation cost{.name = "squared_sums",
                       .shape = {n},
                       .flops = 2.0 * n,
                       .bytes_read = 1.0 * bytes,
                       .bytes_written = 1.0 * sums.bytes()};
  run_on(
      stream, cost,
      [sums, gradients]() mutable {
        double* out = sums.data<double>();
        for (const Tensor& g : gradients)
          *out++ = sum_of_squares_in_pieces(g);
      },
      [&] { cuda::squared_sums(sums, gradients, stream); });
}

void norm_of(Tensor& norm, const Tensor& sums, Stream& stream) {
  const std::int64_t n = sums.count();
  const Operation cost{.name = "norm_of", .shape = {n}, .flops = 1.0 * n, .bytes_read = 8.0 * n};
  run_on(
      stream, cost,
      [norm, sums]() mutable {
        double total = 0;
        for (const double s : sums.values<double>())
          total += s;
        *norm.data() = static_cast<float>(std::sqrt(total));
      },
      [&] { cuda::norm_of(norm, sums, stream); });
}

void clip_factor(Tensor& factor, const Tensor& norm, float limit, Stream& stream) {
  run_on(
      stream, {.name = "clip_factor", .shape = {1}},
      [factor, norm, limit]() mutable {
        const float wanted = limit > 0 ? limit / (*norm.data() + 1e-6f) : 1.0f;
        *factor.data() = wanted < 1.0f ? wanted : 1.0f;
      },
      [&] { cuda::clip_factor(factor, norm, limit, stream); });
}

void adamw_update(Tensor& value, Tensor& gradient, Tensor& m, Tensor& v, const Tensor& factor,
                  const AdamW& with, Stream& stream) {
  const std::int64_t n = value.count();
  expect(gradient.count() == n && m.count() == n && v.count() == n, "adamw_update: shapes");
  const Operation cost{.name = "adamw_update",
                       .shape = {n},
                       .flops = 15.0 * n,
                       .bytes_read = 16.0 * n,
                       .bytes_written = 16.0 * n};
  run_on(
      stream, cost,
      [value, gradient, m, v, factor, with, n]() mutable {
        float *w = value.data(), *g = gradient.data(), *m1 = m.data(), *m2 = v.data();
        const float scale = *factor.data(), keep = 1.0f - with.learning_rate * with.weight_decay;
        const float step = with.learning_rate / with.correction1;
        const float root = 1.0f / std::sqrt(with.correction2);
        parallel_elements(n, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
          for (std::int64_t i = begin; i < end; ++i) {
            const float gi = g[i] * scale;
            m1[i] += (1.0f - with.beta1) * (gi - m1[i]);
            m2[i] += (1.0f - with.beta2) * (gi * gi - m2[i]);
            w[i] = keep * w[i] - step * m1[i] / (std::sqrt(m2[i]) * root + with.epsilon);
            g[i] = 0;
          }
        });
      },
      [&] {
        const AdamWPiece piece{value, gradient, m, v, Tensor(), with.weight_decay};
        cuda::adamw_update({piece}, factor, with, stream);
      });
}

void adamw_update(const std::vector<AdamWPiece>& pieces, const Tensor& factor, const AdamW& with,
                  Stream& stream) {
  if constexpr (kCudaBuilt) {
    if (stream.native()) {
      stream.run(cost_of(pieces), [&] { cuda::adamw_update(pieces, factor, with, stream); });
      return;
    }
  }
  for (AdamWPiece p : pieces) {
    AdamW mine = with;
    mine.weight_decay = p.weight_decay;
    expect(!p.copy || !stream.executes(), "adamw_update: copies in bfloat16 are a GPU's");
    adamw_update(p.value, p.gradient, p.m, p.v, factor, mine, stream);
  }
}

void momentum_update(Tensor& value, Tensor& gradient, Tensor& velocity, const Tensor& factor,
                     const Momentum& with, Stream& stream) {
  const std::int64_t n = value.count();
  expect(gradient.count() == n && velocity.count() == n, "momentum_update: shapes");
  const Operation cost{.name = "momentum_update",
                       .shape = {n},
                       .flops = 6.0 * n,
                       .bytes_read = 12.0 * n,
                       .bytes_written = 12.0 * n};
  run_on(
      stream, cost,
      [value, gradient, velocity, factor, with, n]() mutable {
        float *w = value.data(), *g = gradient.data(), *u = velocity.data();
        const float scale = *factor.data();
        parallel_elements(n, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
          for (std::int64_t i = begin; i < end; ++i) {
            u[i] = with.momentum * u[i] + g[i] * scale + with.weight_decay * w[i];
            w[i] -= with.learning_rate * u[i];
            g[i] = 0;
          }
        });
      },
      [&] { cuda::momentum_update(value, gradient, velocity, factor, with, stream); });
}

}  // namespace lockstep::kernels
