// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/dropout.hpp"

#include "runtime/base/philox.hpp"
#include "runtime/device/run_on.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

// body(i, factor) for i in [begin, end): one Philox call for the four elements of a block.
template <class Body>
void for_each_factor(const DropoutMask& mask, std::int64_t begin, std::int64_t end, Body&& body) {
  const float grown = 1.0f / (1.0f - mask.share);
  for (std::int64_t i = begin; i < end;) {
    const std::uint64_t global = mask.first + static_cast<std::uint64_t>(i);
    const PhiloxBlock block = philox(mask.key, global / 4);
    for (std::uint64_t j = global % 4; j < 4 && i < end; ++j, ++i) {
      body(i, uniform01(block.word[j]) >= mask.share ? grown : 0.0f);
    }
  }
}

}  // namespace

void apply_dropout(float* x, std::int64_t count, const DropoutMask& mask) {
  for_each_factor(mask, 0, count, [x](std::int64_t i, float factor) { x[i] *= factor; });
}

void dropout(Tensor& y, const Tensor& x, const DropoutMask& mask, Stream& stream) {
  const std::int64_t n = x.count();
  expect(y.count() == n, "dropout: shapes");
  const Operation cost{.name = "dropout",
                       .shape = {n},
                       .flops = 1.0 * n,
                       .bytes_read = 1.0 * x.bytes(),
                       .bytes_written = 1.0 * y.bytes(),
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [y, x, mask, n]() mutable {
        parallel_elements(
            n, [&mask, out = y.data(), in = x.data()](std::int64_t b, std::int64_t e) {
              for_each_factor(mask, b, e, [&](std::int64_t i, float f) { out[i] = in[i] * f; });
            });
      },
      [&] { cuda::dropout(y, x, mask, stream); });
}

void dropout_add(Tensor& y, const Tensor& residual, const Tensor& x, const DropoutMask& mask,
                 Stream& stream) {
  const std::int64_t n = x.count();
  expect(y.count() == n && residual.count() == n, "dropout_add: shapes");
  const Operation cost{.name = "dropout_add",
                       .shape = {n},
                       .flops = 2.0 * n,
                       .bytes_read = 1.0 * (residual.bytes() + x.bytes()),
                       .bytes_written = 1.0 * y.bytes(),
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [y, residual, x, mask, n]() mutable {
        parallel_elements(n, [&mask, out = y.data(), base = residual.data(), in = x.data()](
                                 std::int64_t b, std::int64_t e) {
          if (mask.share == 0) {
#pragma omp simd
            for (std::int64_t i = b; i < e; ++i)
              out[i] = base[i] + in[i];
          } else {
            for_each_factor(mask, b, e,
                            [&](std::int64_t i, float f) { out[i] = base[i] + in[i] * f; });
          }
        });
      },
      [&] { cuda::dropout_add(y, residual, x, mask, stream); });
}

}  // namespace lockstep::kernels
