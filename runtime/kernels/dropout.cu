// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/philox.hpp"
#include "runtime/base/with_type.hpp"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/dropout.hpp"
#include "runtime/kernels/dropout_factor.cuh"

namespace lockstep::kernels::cuda {

namespace {

// y = x f, or y = residual + x f where there is a residual.
template <class T>
__global__ void dropout_kernel(T* y, const T* residual, const T* x, DropoutMask mask,
                               std::int64_t n) {
  const std::int64_t i = pack_begin<T>();
  if (i >= n) return;
  float v[kPack<T>], base[kPack<T>] = {}, factor[kPack<T>];
  load_pack(v, x, i, n);
  if (residual) load_pack(base, residual, i, n);
  draw_factors(factor, mask, static_cast<std::uint64_t>(i));
  for (int j = 0; j < kPack<T>; ++j)
    v[j] = base[j] + v[j] * factor[j];
  store_pack(y, v, i, n);
}

void run(Tensor& y, const Tensor* residual, const Tensor& x, const DropoutMask& mask,
         Stream& stream) {
  const std::int64_t n = x.count();
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(dropout_kernel<T>, {packs_of<T>(n), kThreads}, stream, y.data<T>(),
           residual ? residual->data<T>() : nullptr, x.data<T>(), mask, n);
  });
}

}  // namespace

void dropout(Tensor& y, const Tensor& x, const DropoutMask& mask, Stream& stream) {
  run(y, nullptr, x, mask, stream);
}

void dropout_add(Tensor& y, const Tensor& residual, const Tensor& x, const DropoutMask& mask,
                 Stream& stream) {
  run(y, &residual, x, mask, stream);
}

}  // namespace lockstep::kernels::cuda
