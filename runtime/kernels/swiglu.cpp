// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/swiglu.hpp"

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/math.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

void swiglu_forward(Tensor& y, const Tensor& x, Stream& stream) {
  const std::int64_t F = y.dim(-1), M = y.count() / F;
  expect(x.dim(-1) == 2 * F && x.count() == 2 * y.count(), "swiglu_forward: shapes");
  const double n = y.count();
  const Operation cost{.name = "swiglu_forward",
                       .shape = {M, F},
                       .flops = 17 * n,
                       .bytes_read = 1.0 * x.bytes(),
                       .bytes_written = 1.0 * y.bytes(),
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [y, x, M, F]() mutable {
        parallel_ranges(num_threads_for(M * F, 16384), M,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t r = begin; r < end; ++r) {
                            const float *gate = x.data() + r * 2 * F, *up = gate + F;
                            float* out = y.data() + r * F;
#pragma omp simd
                            for (std::int64_t c = 0; c < F; ++c)
                              out[c] = silu(gate[c]) * up[c];
                          }
                        });
      },
      [&] { cuda::swiglu_forward(y, x, stream); });
}

void swiglu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream) {
  const std::int64_t F = dy.dim(-1), M = dy.count() / F;
  expect(x.dim(-1) == 2 * F && x.count() == 2 * dy.count() && dx.count() == x.count(),
         "swiglu_backward: shapes");
  const double n = dy.count();
  const Operation cost{.name = "swiglu_backward",
                       .shape = {M, F},
                       .flops = 22 * n,
                       .bytes_read = 1.0 * (dy.bytes() + x.bytes()),
                       .bytes_written = 1.0 * dx.bytes(),
                       .dtype = x.dtype()};
  run_on(
      stream, cost,
      [dx, dy, x, M, F]() mutable {
        parallel_ranges(num_threads_for(M * F, 16384), M,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t r = begin; r < end; ++r) {
                            const float *gate = x.data() + r * 2 * F, *up = gate + F;
                            const float* d = dy.data() + r * F;
                            float *dgate = dx.data() + r * 2 * F, *dup = dgate + F;
#pragma omp simd
                            for (std::int64_t c = 0; c < F; ++c) {
                              const float g = gate[c], u = up[c];
                              dgate[c] = d[c] * u * silu_gradient(g);
                              dup[c] = d[c] * silu(g);
                            }
                          }
                        });
      },
      [&] { cuda::swiglu_backward(dx, dy, x, stream); });
}

}  // namespace lockstep::kernels
