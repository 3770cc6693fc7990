// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/rotary.hpp"

#include <cmath>

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

// Turns every pair of a head; `sign` -1 turns back.
void rotate_head(float* x, const float* angles, float sign, std::int64_t half) {
  const float *cosine = angles, *sine = angles + half;
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = x[i], b = x[half + i], s = sign * sine[i];
    x[i] = a * cosine[i] - b * s;
    x[half + i] = b * cosine[i] + a * s;
  }
}

void rotate(const char* name, Tensor& qkv, const Tensor& table, const AttentionShape& shape,
            float sign, Stream& stream) {
  const std::int64_t rows = shape.batch * shape.tokens, D = shape.head_dim, W = shape.packed();
  const std::int64_t turned = shape.heads + shape.kv_heads;  // the q and k heads come first
  expect(qkv.count() == rows * W && D % 2 == 0, "rotary: shapes");
  expect(table.dim(0) >= shape.tokens && table.dim(1) == D, "rotary: the table is too small");
  const double n = static_cast<double>(rows * turned * D);
  const Operation cost{.name = name,
                       .shape = {rows, turned * D},
                       .flops = 3 * n,
                       .bytes_read = n * size_of(qkv.dtype()),
                       .bytes_written = n * size_of(qkv.dtype()),
                       .dtype = qkv.dtype()};
  run_on(
      stream, cost,
      [qkv, table, sign, rows, turned, D, W, T = shape.tokens]() mutable {
        parallel_ranges(num_threads_for(rows * turned * D, 16384), rows,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t r = begin; r < end; ++r) {
                            const float* angles = table.data() + r % T * D;
                            for (std::int64_t h = 0; h < turned; ++h)
                              rotate_head(qkv.data() + r * W + h * D, angles, sign, D / 2);
                          }
                        });
      },
      [&] { cuda::rotate(qkv, table, shape, sign, stream); });
}

}  // namespace

void rotary_table(Tensor& table, float base, Stream& stream) {
  const std::int64_t T = table.dim(0), D = table.dim(1);
  expect(D % 2 == 0, "rotary_table: an odd number of channels");
  const double n = table.count();
  const Operation cost{
      .name = "rotary_table", .shape = {T, D}, .flops = 20 * n, .bytes_written = 4 * n};
  run_on(
      stream, cost,
      [table, base, T, D]() mutable {
        for (std::int64_t i = 0; i < D / 2; ++i) {
          const double turn = std::pow(double{base}, -2.0 * static_cast<double>(i) / D);
          for (std::int64_t t = 0; t < T; ++t) {
            table.data()[t * D + i] = static_cast<float>(std::cos(t * turn));
            table.data()[t * D + D / 2 + i] = static_cast<float>(std::sin(t * turn));
          }
        }
      },
      [&] { cuda::rotary_table(table, base, stream); });
}

void rotary_forward(Tensor& qkv, const Tensor& table, const AttentionShape& shape, Stream& stream) {
  rotate("rotary_forward", qkv, table, shape, 1.0f, stream);
}

void rotary_backward(Tensor& dqkv, const Tensor& table, const AttentionShape& shape,
                     Stream& stream) {
  rotate("rotary_backward", dqkv, table, shape, -1.0f, stream);
}

}  // namespace lockstep::kernels
