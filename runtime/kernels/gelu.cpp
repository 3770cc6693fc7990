// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/gelu.hpp"

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/math.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

void gelu_forward(Tensor& y, const Tensor& x, Stream& stream) {
  const std::int64_t n = x.count();
  expect(y.count() == n, "gelu_forward: shapes");
  const Operation cost{.name = "gelu_forward",
                       .shape = {n},
                       .flops = 20.0 * n,
                       .bytes_read = 1.0 * x.bytes(),
                       .bytes_written = 1.0 * y.bytes(),
                       .dtype = x.dtype()};
  const auto on_host = [y, x, n]() mutable {
    parallel_elements(n, [out = y.data(), in = x.data()](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i)
        out[i] = gelu(in[i]);
    });
  };
  run_on(stream, cost, on_host, [&] { cuda::gelu_forward(y, x, stream); });
}

void gelu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream) {
  const std::int64_t n = x.count();
  expect(dx.count() == n && dy.count() == n, "gelu_backward: shapes");
  const Operation cost{.name = "gelu_backward",
                       .shape = {n},
                       .flops = 30.0 * n,
                       .bytes_read = 1.0 * (dy.bytes() + x.bytes()),
                       .bytes_written = 1.0 * dx.bytes(),
                       .dtype = x.dtype()};
  const auto on_host = [dx, dy, x, n]() mutable {
    parallel_elements(
        n, [out = dx.data(), in = dy.data(), at = x.data()](std::int64_t begin, std::int64_t end) {
#pragma omp simd
          for (std::int64_t i = begin; i < end; ++i)
            out[i] = in[i] * gelu_gradient(at[i]);
        });
  };
  run_on(stream, cost, on_host, [&] { cuda::gelu_backward(dx, dy, x, stream); });
}

}  // namespace lockstep::kernels
