// SPDX-License-Identifier: Apache-2.0
// A warp normalizes a row: it reads it from memory once, and again from the cache. Statistics are
// float32, weights of either type.
#include "runtime/kernels/column_sums.cuh"
#include "runtime/kernels/rmsnorm.hpp"
#include "runtime/kernels/warp_rows.cuh"

namespace lockstep::kernels::cuda {

namespace {

constexpr float kEpsilon = 1e-5f;

template <class T>
__global__ void rmsnorm_forward_kernel(T* y, float* rstd_of, const T* x, AnyFloats gamma,
                                       std::int64_t rows, std::int64_t C) {
  const std::int64_t r = row_of_warp();
  if (r >= rows) return;
  float v[kPack<T>], squares = 0;
  for_each_pack<T>(C, [&](std::int64_t c) {
    load_pack(v, x + r * C, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      squares += v[j] * v[j];
  });
  const float rstd = rsqrtf(warp_sum(squares) / static_cast<float>(C) + kEpsilon);
  if (threadIdx.x % kWarp == 0) rstd_of[r] = rstd;
  for_each_pack<T>(C, [&](std::int64_t c) {
    float g[kPack<T>];
    load_pack(v, x + r * C, c, C);
    gamma.load(g, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      v[j] *= rstd * g[j];
    store_pack(y + r * C, v, c, C);
  });
}

// residual may be nullptr; dx may be dy or residual.
template <class T>
__global__ void rmsnorm_backward_kernel(T* dx, const T* dy, const T* residual, const T* x,
                                        const float* rstd_of, AnyFloats gamma, std::int64_t rows,
                                        std::int64_t C) {
  const std::int64_t r = row_of_warp();
  if (r >= rows) return;
  const float rstd = rstd_of[r];
  float v[kPack<T>], d[kPack<T>], g[kPack<T>], sum_gn = 0;
  const auto load = [&](std::int64_t c) {  // v = n, d = g
    load_pack(v, x + r * C, c, C);
    load_pack(d, dy + r * C, c, C);
    gamma.load(g, c, C);
    for (int j = 0; j < kPack<T>; ++j) {
      v[j] *= rstd;
      d[j] *= g[j];
    }
  };
  for_each_pack<T>(C, [&](std::int64_t c) {
    load(c);
    for (int j = 0; j < kPack<T>; ++j)
      sum_gn += d[j] * v[j];
  });
  const float mean_gn = warp_sum(sum_gn) / static_cast<float>(C);
  for_each_pack<T>(C, [&](std::int64_t c) {
    float base[kPack<T>] = {};
    load(c);
    if (residual) load_pack(base, residual + r * C, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      v[j] = base[j] + rstd * (d[j] - v[j] * mean_gn);
    store_pack(dx + r * C, v, c, C);
  });
}

template <class T>
struct WeightTerms {
  const T *dy, *x;
  const float* rstd;
  std::int64_t C;

  __device__ void operator()(std::int64_t r, std::int64_t c, float (&terms)[1][kPack<T>]) const {
    float v[kPack<T>];
    load_pack(v, x + r * C, c, C);
    load_pack(terms[0], dy + r * C, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      terms[0][j] *= v[j] * rstd[r];
  }
};

}  // namespace

void rmsnorm_forward(Tensor& y, Tensor& rstd, const Tensor& x, const Tensor& gamma,
                     Stream& stream) {
  const std::int64_t C = gamma.count(), rows = x.count() / C;
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(rmsnorm_forward_kernel<T>, {warps_of(rows), kThreads}, stream, y.data<T>(), rstd.data(),
           x.data<T>(), AnyFloats(gamma), rows, C);
  });
}

void rmsnorm_backward_input(Tensor& dx, const Tensor& dy, const Tensor& residual, const Tensor& x,
                            const Tensor& rstd, const Tensor& gamma, Stream& stream) {
  const std::int64_t C = gamma.count(), rows = x.count() / C;
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(rmsnorm_backward_kernel<T>, {warps_of(rows), kThreads}, stream, dx.data<T>(),
           dy.data<T>(), residual ? residual.data<T>() : nullptr, x.data<T>(), rstd.data(),
           AnyFloats(gamma), rows, C);
  });
}

void rmsnorm_backward_weight(Tensor& dgamma, const Tensor& dy, const Tensor& x, const Tensor& rstd,
                             Stream& stream) {
  const std::int64_t C = dgamma.count(), rows = x.count() / C;
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const WeightTerms<T> terms{dy.data<T>(), x.data<T>(), rstd.data(), C};
    add_column_sums<T>(Sums<1>{{AnyFloats(dgamma)}}, terms, rows, C, x.device(), stream);
  });
}

}  // namespace lockstep::kernels::cuda
