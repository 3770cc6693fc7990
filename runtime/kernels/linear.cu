// SPDX-License-Identifier: Apache-2.0
// Products by cuBLASLt, which adds bias and residual as it writes; the gradient of the bias by one
// more pass over dy.
#include "runtime/kernels/column_sums.cuh"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/gemm_cublaslt.hpp"
#include "runtime/kernels/linear.hpp"

namespace lockstep::kernels::cuda {

namespace {

Factor factor_of(const Tensor& x, std::int64_t columns, Trans trans = Trans::no) {
  return {x.raw(), x.dtype(), columns, trans};
}

Product product_of(const Tensor& x, std::int64_t columns, Into into = Into::overwrite) {
  return {x.raw(), x.dtype(), columns, into};
}

template <class T>
struct BiasTerms {
  const T* dy;
  std::int64_t C;

  __device__ void operator()(std::int64_t r, std::int64_t c, float (&terms)[1][kPack<T>]) const {
    load_pack(terms[0], dy + r * C, c, C);
  }
};

}  // namespace

void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& residual, Stream& stream) {
  const std::int64_t outputs = w.dim(0), inputs = w.dim(1), m = x.count() / inputs;
  Product product = product_of(y, outputs);
  if (b) {
    expect(b.dtype() == y.dtype(), "linear_forward: a bias of another type than the result");
    product.bias = b.raw();
  }
  if (residual) {
    expect(residual.dtype() == y.dtype(), "linear_forward: a residual of another type");
    product.residual = residual.raw();
  }
  gemm(product, factor_of(x, inputs), factor_of(w, inputs, Trans::yes), m, outputs, inputs,
       x.device(), stream);
}

void linear_backward_input(Tensor& dx, const Tensor& dy, const Tensor& w, Stream& stream) {
  const std::int64_t outputs = w.dim(0), inputs = w.dim(1), m = dy.count() / outputs;
  gemm(product_of(dx, inputs), factor_of(dy, outputs), factor_of(w, inputs), m, inputs, outputs,
       dy.device(), stream);
}

// cuBLASLt wants rows of what stands beside to begin at 16 bytes.
void linear_gelu_forward(Tensor& y, Tensor& z, const Tensor& x, const Tensor& w, const Tensor& b,
                         Stream& stream) {
  const std::int64_t outputs = w.dim(0), inputs = w.dim(1), m = x.count() / inputs;
  expect(b.dtype() == y.dtype(), "linear_gelu_forward: a bias of another type than the result");
  Product product = product_of(y, outputs);
  product.bias = b.raw();
  product.gelu = Product::Gelu::of_product;
  product.beside = z.raw();
  const Factor left = factor_of(x, inputs), right = factor_of(w, inputs, Trans::yes);
  if (outputs % 8 == 0 && gemm_can(product, left, right, m, outputs, inputs, x.device()))
    return gemm(product, left, right, m, outputs, inputs, x.device(), stream);
  linear_forward(z, x, w, b, Tensor(), stream);
  gelu_forward(y, z, stream);
}

void linear_gelu_backward_input(Tensor& dz, const Tensor& dy, const Tensor& w, const Tensor& z,
                                Stream& stream) {
  const std::int64_t outputs = w.dim(0), inputs = w.dim(1), m = dy.count() / outputs;
  Product product = product_of(dz, inputs);
  product.gelu = Product::Gelu::gradient;
  product.beside = z.raw();
  const Factor left = factor_of(dy, outputs), right = factor_of(w, inputs);
  if (inputs % 8 == 0 && gemm_can(product, left, right, m, inputs, outputs, dy.device()))
    return gemm(product, left, right, m, inputs, outputs, dy.device(), stream);
  linear_backward_input(dz, dy, w, stream);
  gelu_backward(dz, dz, z, stream);
}

void linear_backward_weight(Tensor& dw, Tensor& db, const Tensor& dy, const Tensor& x,
                            Stream& stream) {
  const std::int64_t outputs = dw.dim(0), inputs = dw.dim(1), m = x.count() / inputs;
  gemm(product_of(dw, inputs, Into::accumulate), factor_of(dy, outputs, Trans::yes),
       factor_of(x, inputs), outputs, inputs, m, x.device(), stream);
  if (!db) return;
  with_float(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    add_column_sums<T>(Sums<1>{{AnyFloats(db)}}, BiasTerms<T>{dy.data<T>(), outputs}, m, outputs,
                       dy.device(), stream);
  });
}

}  // namespace lockstep::kernels::cuda
