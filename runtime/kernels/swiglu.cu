// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/with_type.hpp"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/math.hpp"
#include "runtime/kernels/swiglu.hpp"

namespace lockstep::kernels::cuda {

namespace {

// A row of y is a row of blocks (grid.y rows at a time), a thread a pack of its channels.
template <class T>
__global__ void swiglu_forward_kernel(T* y, const T* x, std::int64_t rows, std::int64_t F) {
  const std::int64_t c = pack_begin<T>();
  if (c >= F) return;
  for (std::int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    float gate[kPack<T>], up[kPack<T>];
    load_pack(gate, x + r * 2 * F, c, F);
    load_pack(up, x + r * 2 * F + F, c, F);
    for (int j = 0; j < kPack<T>; ++j)
      up[j] *= silu(gate[j]);
    store_pack(y + r * F, up, c, F);
  }
}

template <class T>
__global__ void swiglu_backward_kernel(T* dx, const T* dy, const T* x, std::int64_t rows,
                                       std::int64_t F) {
  const std::int64_t c = pack_begin<T>();
  if (c >= F) return;
  for (std::int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    float gate[kPack<T>], up[kPack<T>], d[kPack<T>];
    load_pack(gate, x + r * 2 * F, c, F);
    load_pack(up, x + r * 2 * F + F, c, F);
    load_pack(d, dy + r * F, c, F);
    for (int j = 0; j < kPack<T>; ++j) {
      up[j] *= d[j] * silu_gradient(gate[j]);
      d[j] *= silu(gate[j]);
    }
    store_pack(dx + r * 2 * F, up, c, F);
    store_pack(dx + r * 2 * F + F, d, c, F);
  }
}

}  // namespace

void swiglu_forward(Tensor& y, const Tensor& x, Stream& stream) {
  const std::int64_t F = y.dim(-1), rows = y.count() / F;
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(swiglu_forward_kernel<T>, {rows_of_packs<T>(rows, F), kThreads}, stream, y.data<T>(),
           x.data<T>(), rows, F);
  });
}

void swiglu_backward(Tensor& dx, const Tensor& dy, const Tensor& x, Stream& stream) {
  const std::int64_t F = dy.dim(-1), rows = dy.count() / F;
  with_float(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(swiglu_backward_kernel<T>, {rows_of_packs<T>(rows, F), kThreads}, stream, dx.data<T>(),
           dy.data<T>(), x.data<T>(), rows, F);
  });
}

}  // namespace lockstep::kernels::cuda
