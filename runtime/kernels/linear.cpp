// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels/linear.hpp"

#include "runtime/device/run_on.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/parallel.hpp"

namespace lockstep::kernels {

namespace {

bool in_tf32(const Tensor& factor) {
  return factor.dtype() == DType::float32 && factor.device().numerics().products == Products::tf32;
}

// Bytes of a product: each matrix crosses memory once.
Operation gemm_cost(const char* name, std::int64_t m, std::int64_t n, std::int64_t k,
                    const Tensor& factor, const Tensor& product) {
  return {.name = name,
          .kind = OperationKind::gemm,
          .shape = {m, n, k},
          .flops = 2.0 * m * n * k,
          .bytes_read = 1.0 * size_of(factor.dtype()) * (m * k + k * n),
          .bytes_written = 1.0 * product.bytes(),
          .dtype = factor.dtype(),
          .detail = in_tf32(factor) ? "tf32" : ""};
}

void add_row(float* y, const float* x, std::int64_t columns) {
#pragma omp simd
  for (std::int64_t j = 0; j < columns; ++j)
    y[j] += x[j];
}

// Threads own columns, each sums over all rows in order: no partial sums to combine.
void add_column_sums(float* sums, const float* x, std::int64_t rows, std::int64_t columns) {
  parallel_ranges(num_threads_for(rows * columns, 65536), columns,
                  [&](int, std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = 0; i < rows; ++i) {
#pragma omp simd
                      for (std::int64_t j = begin; j < end; ++j)
                        sums[j] += x[i * columns + j];
                    }
                  });
}

}  // namespace

void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& residual, Stream& stream) {
  const std::int64_t outputs = w.dim(0), inputs = w.dim(1), m = x.count() / inputs;
  expect(x.dim(-1) == inputs && y.count() == m * outputs, "linear_forward: shapes");
  expect(!residual || residual.count() == y.count(), "linear_forward: shape of the residual");
  Operation cost = gemm_cost("linear_forward", m, outputs, inputs, x, y);
  cost.bytes_read += 1.0 * residual.bytes();
  run_on(
      stream, cost,
      [y, x, w, b, residual, m, inputs, outputs]() mutable {
        host_gemm({y.data(), outputs}, {x.data(), inputs}, {w.data(), inputs, Trans::yes}, m,
                  outputs, inputs);
        if (!b && !residual) return;
        parallel_ranges(num_threads_for(m * outputs, 16384), m,
                        [&](int, std::int64_t begin, std::int64_t end) {
                          for (std::int64_t i = begin; i < end; ++i) {
                            float* row = y.data() + i * outputs;
                            if (b) add_row(row, b.data(), outputs);
                            if (residual) add_row(row, residual.data() + i * outputs, outputs);
                          }
                        });
      },
      [&] { cuda::linear_forward(y, x, w, b, residual, stream); });
}

void linear_backward_input(Tensor& dx, const Tensor& dy, const Tensor& w, Stream& stream) {
  const std::int64_t outputs = w.dim(0), inputs = w.dim(1), m = dy.count() / outputs;
  expect(dy.dim(-1) == outputs && dx.count() == m * inputs, "linear_backward_input: shapes");
  run_on(
      stream, gemm_cost("linear_backward_input", m, inputs, outputs, dy, dx),
      [dx, dy, w, m, outputs, inputs]() mutable {
        host_gemm({dx.data(), inputs}, {dy.data(), outputs}, {w.data(), inputs}, m, inputs,
                  outputs);
      },
      [&] { cuda::linear_backward_input(dx, dy, w, stream); });
}

void linear_backward_weight(Tensor& dw, Tensor& db, const Tensor& dy, const Tensor& x,
                            Stream& stream) {
  const std::int64_t outputs = dw.dim(0), inputs = dw.dim(1), m = x.count() / inputs;
  expect(dy.count() == m * outputs && dy.dim(-1) == outputs && x.dim(-1) == inputs,
         "linear_backward_weight: shapes");
  run_on(
      stream, gemm_cost("linear_backward_weight", outputs, inputs, m, x, dw),
      [dw, db, dy, x, m, inputs, outputs]() mutable {
        host_gemm({dw.data(), inputs, Into::accumulate}, {dy.data(), outputs, Trans::yes},
                  {x.data(), inputs}, outputs, inputs, m);
        if (db) add_column_sums(db.data(), dy.data(), m, outputs);
      },
      [&] { cuda::linear_backward_weight(dw, db, dy, x, stream); });
}

namespace {

// With another matrix of the size of the product, read or written beside it.
Operation gelu_gemm_cost(const char* name, std::int64_t m, std::int64_t n, std::int64_t k,
                         const Tensor& factor, const Tensor& product, double read, double written) {
  Operation cost = gemm_cost(name, m, n, k, factor, product);
  cost.bytes_read += read;
  cost.bytes_written += written;
  return cost;
}

[[noreturn]] void on_no_host() {
  throw LogicError("bfloat16 is computed with on GPUs only");
}

}  // namespace

void linear_gelu_forward(Tensor& y, Tensor& z, const Tensor& x, const Tensor& w, const Tensor& b,
                         Stream& stream) {
  if (x.dtype() != DType::bfloat16) {
    linear_forward(z, x, w, b, stream);
    return gelu_forward(y, z, stream);
  }
  const std::int64_t outputs = w.dim(0), inputs = w.dim(1), m = x.count() / inputs;
  expect(x.dim(-1) == inputs && y.count() == m * outputs && z.count() == y.count() && b,
         "linear_gelu_forward: shapes");
  run_on(stream,
         gelu_gemm_cost("linear_gelu_forward", m, outputs, inputs, x, y, 0, 1.0 * z.bytes()),
         on_no_host, [&] { cuda::linear_gelu_forward(y, z, x, w, b, stream); });
}

void linear_gelu_backward_input(Tensor& dz, const Tensor& dy, const Tensor& w, const Tensor& z,
                                Stream& stream) {
  if (dy.dtype() != DType::bfloat16) {
    linear_backward_input(dz, dy, w, stream);
    return gelu_backward(dz, dz, z, stream);
  }
  const std::int64_t outputs = w.dim(0), inputs = w.dim(1), m = dy.count() / outputs;
  expect(dy.dim(-1) == outputs && dz.count() == m * inputs && z.count() == dz.count(),
         "linear_gelu_backward_input: shapes");
  run_on(
      stream,
      gelu_gemm_cost("linear_gelu_backward_input", m, inputs, outputs, dy, dz, 1.0 * z.bytes(), 0),
      on_no_host, [&] { cuda::linear_gelu_backward_input(dz, dy, w, z, stream); });
}

}  // namespace lockstep::kernels
