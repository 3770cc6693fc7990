// SPDX-License-Identifier: Apache-2.0
// 16 bytes a thread: a pass over memory, which is what it costs.
#include "runtime/base/with_type.hpp"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/math.hpp"

namespace lockstep::kernels::cuda {
namespace {

template <class T>
__global__ void gelu_forward_kernel(T* y, const T* x, std::int64_t n) {
  const std::int64_t i = pack_begin<T>();
  if (i >= n) return;
  float v[kPack<T>];
  load_pack(v, x, i, n);
  for (float& e : v)
    e = gelu(e);
  store_pack(y, v, i, n);
}

template <class T>
__global__ void gelu_backward_kernel(T* dx, const T* dy, const T* x, std::int64_t n) {
  const std::int64_t i = pack_begin<T>();
  if (i >= n) return;
  float v[kPack<T>], d[kPack<T>];
  load_pack(v, x, i, n);
  load_pack(d, dy, i, n);
  for (int j = 0; j < kPack<T>; ++j)
    d[j] *= gelu_gradient(v[j]);
  store_pack(dx, d, i, n);
}

}  // namespace

void gelu_forward(Tensor& y, const Tensor& x, Stream& stream) {
  const std::int64_t n = x.count();
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(gelu_forward_kernel<T>, {packs_of<T>(n), kThreads}, stream, y.data<T>(), x.data<T>(), n);
  });
}

void gelu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream) {
  const std::int64_t n = x.count();
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(gelu_backward_kernel<T>, {packs_of<T>(n), kThreads}, stream, dx.data<T>(), dy.data<T>(),
           x.data<T>(), n);
  });
}

}  // namespace lockstep::kernels::cuda
