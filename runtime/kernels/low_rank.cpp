// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/low_rank.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/cuda_built.hpp"
#include "runtime/base/philox.hpp"
#include "runtime/device/run_on.hpp"

namespace lockstep::kernels {

namespace {

// In sixteen partial sums, which the compiler keeps in vectors: the same bits everywhere.
float dot(const float* a, const float* b, std::int64_t n) {
  constexpr std::int64_t kLanes = 16;
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::int64_t l = 0; l < kLanes; ++l)
      lanes[l] += a[i + l] * b[i + l];
  }
  float sum = 0;
  for (; i < n; ++i)
    sum += a[i] * b[i];
  for (const float lane : lanes)
    sum += lane;
  return sum;
}

void add_scaled(float* y, float scale, const float* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    y[i] += scale * x[i];
}

double norm(const float* x, std::int64_t n) {
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i)
    squares += double{x[i]} * x[i];
  return std::sqrt(squares);
}

void orthonormalize(float* columns, std::int64_t rank, std::int64_t rows) {
  for (std::int64_t k = 0; k < rank; ++k) {
    float* const column = columns + k * rows;
    const double before = norm(column, rows);
    for (std::int64_t j = 0; j < 2 * k; ++j) {
      const float* const other = columns + (j % k) * rows;
      add_scaled(column, -dot(column, other, rows), other, rows);
    }
    const double left = norm(column, rows);
    const bool depends = left <= kNegligible * before;  // NaN does not: it is to be seen
    const auto scale = static_cast<float>(depends ? 0 : 1 / left);
    for (std::int64_t i = 0; i < rows; ++i)
      column[i] *= scale;
  }
}

// Factors of one matrix of all.
template <class Float>
Float* column_of_p(Float* p, const LowRankMatrix& m, std::int64_t k) {
  return p + m.p + k * m.rows;
}
template <class Float>
Float* column_of_q(Float* q, const LowRankMatrix& m, std::int64_t k) {
  return q + m.q + k * m.columns;
}

// body(i, k, row i of the matrix) for every element of P.
template <class Body>
void for_each_element(const LowRankMatrix& m, float* matrices, Body&& body) {
  for (std::int64_t i = 0; i < m.rows; ++i) {
    for (std::int64_t k = 0; k < m.rank; ++k)
      body(i, k, matrices + m.begin + i * m.columns);
  }
}

void project_on_host(float* p, float* matrices, const float* x, const float* q,
                     const LowRankLayout& layout) {
  for (const LowRankMatrix& m : layout.matrices) {
    for (std::int64_t i = 0; i < m.rows; ++i) {
      float* const row = matrices + m.begin + i * m.columns;
      add_scaled(row, 1, x + m.begin + i * m.columns, m.columns);
      for (std::int64_t k = 0; k < m.rank; ++k)
        column_of_p(p, m, k)[i] = dot(row, column_of_q(q, m, k), m.columns);
    }
  }
  for (const WholePart& v : layout.whole)
    std::copy_n(x + v.begin, v.count, p + v.p);
}

void project_back_on_host(float* q, float* p, float* matrices, const LowRankLayout& layout) {
  std::fill_n(q, layout.q_count, 0.0f);
  for (const LowRankMatrix& m : layout.matrices) {
    orthonormalize(column_of_p(p, m, 0), m.rank, m.rows);
    for_each_element(m, matrices, [&](std::int64_t i, std::int64_t k, const float* row) {
      add_scaled(column_of_q(q, m, k), column_of_p(p, m, k)[i], row, m.columns);
    });
    for_each_element(m, matrices, [&](std::int64_t i, std::int64_t k, float* row) {
      add_scaled(row, -column_of_p(p, m, k)[i], column_of_q(q, m, k), m.columns);
    });
    for (std::int64_t i = m.begin; i < m.begin + m.rows * m.columns; ++i)
      matrices[i] = std::isfinite(matrices[i]) ? matrices[i] : 0.0f;
  }
}

void restart_if_lost(float* column, std::int64_t n, std::int64_t first) {
  const double length = norm(column, n);
  if (length > 0 && std::isfinite(length)) return;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::uint64_t>(first + i);
    column[i] = 2 * uniform01(philox(kDirectionSeed, at).word[0]) - 1;
  }
}

void multiply_on_host(float* x, float* q, const float* p, const LowRankLayout& layout) {
  for (const LowRankMatrix& m : layout.matrices) {
    std::fill_n(x + m.begin, m.rows * m.columns, 0.0f);
    for_each_element(m, x, [&](std::int64_t i, std::int64_t k, float* row) {
      add_scaled(row, column_of_p(p, m, k)[i], column_of_q(q, m, k), m.columns);
    });
    for (std::int64_t k = 0; k < m.rank; ++k)
      restart_if_lost(column_of_q(q, m, k), m.columns, m.q + k * m.columns);
  }
  for (const WholePart& v : layout.whole)
    std::copy_n(p + v.p, v.count, x + v.begin);
}

}  // namespace

std::shared_ptr<const LowRank> make_low_rank(Device& device, const LowRankLayout& layout) {
  auto of = std::make_shared<LowRank>(LowRank{.layout = layout});
  if constexpr (kCudaBuilt) {
    if (device.kind() == DeviceKind::cuda) cuda::fill_tables(*of, device);
  }
  return of;
}

void project(Tensor& p, Tensor& m, const Tensor& x, const Tensor& q, const LowRankPointer& of,
             Stream& stream) {
  expect(
      p.count() == of->layout.p_count && q.count() == of->layout.q_count && m.count() == x.count(),
      "project: shapes");
  const Operation cost{.name = "project",
                       .shape = {x.count()},
                       .bytes_read = 1.0 * (m.bytes() + x.bytes() + q.bytes()),
                       .bytes_written = 1.0 * (m.bytes() + p.bytes())};
  run_on(
      stream, cost,
      [p, m, x, q, of]() mutable {
        project_on_host(p.data(), m.data(), x.data(), q.data(), of->layout);
      },
      [p, m, x, q, of, &stream]() mutable { cuda::project(p, m, x, q, *of, stream); });
}

void project_back(Tensor& q, Tensor& p, Tensor& m, const LowRankPointer& of, Stream& stream) {
  const Operation cost{.name = "project_back",
                       .shape = {m.count()},
                       .bytes_read = 1.0 * (2 * m.bytes() + p.bytes()),
                       .bytes_written = 1.0 * (m.bytes() + p.bytes() + q.bytes())};
  run_on(
      stream, cost,
      [q, p, m, of]() mutable { project_back_on_host(q.data(), p.data(), m.data(), of->layout); },
      [q, p, m, of, &stream]() mutable { cuda::project_back(q, p, m, *of, stream); });
}

void multiply_factors(Tensor& x, Tensor& q, const Tensor& p, const LowRankPointer& of,
                      Stream& stream) {
  const Operation cost{.name = "multiply_factors",
                       .shape = {x.count()},
                       .bytes_read = 1.0 * (p.bytes() + q.bytes()),
                       .bytes_written = 1.0 * x.bytes()};
  run_on(
      stream, cost,
      [x, q, p, of]() mutable { multiply_on_host(x.data(), q.data(), p.data(), of->layout); },
      [x, q, p, of, &stream]() mutable { cuda::multiply_factors(x, q, p, *of, stream); });
}

}  // namespace lockstep::kernels
