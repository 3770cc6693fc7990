// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/elementwise.hpp"

#include <array>
#include <cmath>
#include <numbers>

#include "runtime/base/philox.hpp"
#include "runtime/device/run_on.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

void fill(Tensor& y, float value, Stream& stream) {
  const std::int64_t n = y.count();
  run_on(
      stream, {.name = "fill", .shape = {n}, .bytes_written = 1.0 * y.bytes(), .dtype = y.dtype()},
      [y, value, n]() mutable {
        parallel_elements(n, [out = y.data(), value](std::int64_t begin, std::int64_t end) {
          std::fill(out + begin, out + end, value);
        });
      },
      [&] { cuda::fill(y, value, stream); });
}

void copy(Tensor& y, const Tensor& x, Stream& stream) {
  const std::int64_t n = x.count();
  expect(y.count() == n, "copy: shapes");
  const Operation cost{.name = "copy",
                       .shape = {n},
                       .bytes_read = 1.0 * x.bytes(),
                       .bytes_written = 1.0 * y.bytes(),
                       .dtype = y.dtype()};
  run_on(
      stream, cost,
      [y, x, n]() mutable {
        parallel_elements(n, [out = y.data(), in = x.data()](std::int64_t begin, std::int64_t end) {
          std::copy(in + begin, in + end, out + begin);
        });
      },
      [&] { cuda::copy(y, x, stream); });
}

void add(Tensor& y, const Tensor& x, Stream& stream) {
  const std::int64_t n = x.count();
  expect(y.count() == n, "add: shapes");
  const Operation cost{.name = "add",
                       .shape = {n},
                       .flops = 1.0 * n,
                       .bytes_read = 1.0 * (y.bytes() + x.bytes()),
                       .bytes_written = 1.0 * y.bytes(),
                       .dtype = y.dtype()};
  run_on(
      stream, cost,
      [y, x, n]() mutable {
        parallel_elements(n, [out = y.data(), in = x.data()](std::int64_t begin, std::int64_t end) {
#pragma omp simd
          for (std::int64_t i = begin; i < end; ++i)
            out[i] += in[i];
        });
      },
      [&] { cuda::add(y, x, stream); });
}

namespace {

// Four normal numbers from one Philox block.
std::array<double, 4> normals(const PhiloxBlock& b) {
  std::array<double, 4> z{};
  for (const std::size_t i : {0, 2}) {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform01(b.word[i])));
    const double angle = 2.0 * std::numbers::pi * uniform01(b.word[i + 1]);
    z[i] = radius * std::cos(angle);
    z[i + 1] = radius * std::sin(angle);
  }
  return z;
}

// y[0..count) = the numbers from `first` on. Blocks that begin or end outside are drawn for their
// part.
void draw_normals(float* y, std::int64_t first, std::int64_t count, double deviation,
                  std::uint64_t key) {
  const std::int64_t end = first + count;
  for (std::int64_t b = first / 4; 4 * b < end; ++b) {
    const auto z = normals(philox(key, static_cast<std::uint64_t>(b)));
    for (std::int64_t i = std::max(first, 4 * b); i < std::min(end, 4 * b + 4); ++i)
      y[i - first] = static_cast<float>(deviation * z[i - 4 * b]);
  }
}

}  // namespace

void fill_normal(Tensor& y, float deviation, std::uint64_t key, Stream& stream) {
  Tensor row = y.view({1, y.count()});
  fill_normal_part(row, deviation, key, y.count(), 0, 0, stream);
}

void fill_normal_part(Tensor& y, float deviation, std::uint64_t key, std::int64_t full_columns,
                      std::int64_t first_row, std::int64_t first_column, Stream& stream) {
  const std::int64_t n = y.count(), columns = y.dim(-1);
  expect(first_column + columns <= full_columns, "fill_normal_part: columns outside the matrix");
  const Operation cost{
      .name = "fill_normal", .shape = {n}, .flops = 40.0 * n, .bytes_written = 4.0 * n};
  run_on(
      stream, cost,
      [y, deviation, key, full_columns, first_row, first_column, n, columns]() mutable {
        const auto fill_elements = [&](int, std::int64_t begin, std::int64_t end) {
          while (begin < end) {
            const std::int64_t r = begin / columns, c = begin % columns;
            const std::int64_t count = std::min(columns - c, end - begin);
            draw_normals(y.data() + begin, (first_row + r) * full_columns + first_column + c, count,
                         deviation, key);
            begin += count;
          }
        };
        parallel_ranges(num_threads_for(n, 4096), n, fill_elements);
      },
      [&] {
        cuda::fill_normal_part(y, deviation, key, full_columns, first_row, first_column, stream);
      });
}

void upload(Tensor& y, const void* host, std::size_t bytes, Stream& stream) {
  expect(bytes == y.bytes(), "upload: sizes");
  const Operation cost{.name = "upload",
                       .shape = {y.count()},
                       .bytes_read = 1.0 * bytes,
                       .bytes_written = 1.0 * bytes};
  // Host memory is the caller's: copied before run returns on a stream that computes.
  stream.run(cost, [y, host, bytes] { y.device().copy_in(y.raw(), host, bytes); });
}

}  // namespace lockstep::kernels
