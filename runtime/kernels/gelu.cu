// SPDX-License-Identifier: Apache-2.0
// One element a thread: a pass over memory, which is what it costs.
#include "runtime/base/with_type.hpp"
#include "runtime/device/cuda_launch.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/math.hpp"

namespace lockstep::kernels::cuda {
namespace {

template <class T>
__global__ void gelu_forward_kernel(T* y, const T* x, std::int64_t n) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) y[i] = T(gelu(float(x[i])));
}

template <class T>
__global__ void gelu_backward_kernel(T* dx, const T* dy, const T* x, std::int64_t n) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) dx[i] = T(float(dy[i]) * gelu_gradient(float(x[i])));
}

}  // namespace

void gelu_forward(Tensor& y, const Tensor& x, Stream& stream) {
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(gelu_forward_kernel<T>, cover(x.count()), stream, y.data<T>(), x.data<T>(), x.count());
  });
}

void gelu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream) {
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(gelu_backward_kernel<T>, cover(x.count()), stream, dx.data<T>(), dy.data<T>(),
           x.data<T>(), x.count());
  });
}

}  // namespace lockstep::kernels::cuda
