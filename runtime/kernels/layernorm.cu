// SPDX-License-Identifier: Apache-2.0
// A warp normalizes a row: it reads it from memory once, and again from the cache. Statistics are
// float32, weights of either type.
#include "runtime/kernels/column_sums.cuh"
#include "runtime/kernels/layernorm.hpp"
#include "runtime/kernels/warp_rows.cuh"

namespace lockstep::kernels::cuda {

namespace {

constexpr float kEpsilon = 1e-5f;

template <class T>
__global__ void layernorm_forward_kernel(T* y, float* mean_of, float* rstd_of, const T* x,
                                         AnyFloats gamma, AnyFloats beta, std::int64_t rows,
                                         std::int64_t C) {
  const std::int64_t r = row_of_warp();
  if (r >= rows) return;
  const T* row = x + r * C;
  float v[kPack<T>], sum = 0, squares = 0;
  for_each_pack<T>(C, [&](std::int64_t c) {
    load_pack(v, row, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      sum += v[j];
  });
  const float mean = warp_sum(sum) / static_cast<float>(C);
  for_each_pack<T>(C, [&](std::int64_t c) {
    load_pack(v, row, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      squares += c + j < C ? (v[j] - mean) * (v[j] - mean) : 0.0f;
  });
  const float rstd = rsqrtf(warp_sum(squares) / static_cast<float>(C) + kEpsilon);
  if (threadIdx.x % kWarp == 0) {
    mean_of[r] = mean;
    rstd_of[r] = rstd;
  }
  for_each_pack<T>(C, [&](std::int64_t c) {
    float g[kPack<T>], b[kPack<T>];
    load_pack(v, row, c, C);
    gamma.load(g, c, C);
    beta.load(b, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      v[j] = (v[j] - mean) * rstd * g[j] + b[j];
    store_pack(y + r * C, v, c, C);
  });
}

// residual may be nullptr; dx may be dy or residual.
template <class T>
__global__ void layernorm_backward_kernel(T* dx, const T* dy, const T* residual, const T* x,
                                          const float* mean_of, const float* rstd_of,
                                          AnyFloats gamma, std::int64_t rows, std::int64_t C) {
  const std::int64_t r = row_of_warp();
  if (r >= rows) return;
  const float mean = mean_of[r], rstd = rstd_of[r];
  float v[kPack<T>], d[kPack<T>], g[kPack<T>], sum_g = 0, sum_gn = 0;
  const auto load = [&](std::int64_t c) {  // v = n, d = g
    load_pack(v, x + r * C, c, C);
    load_pack(d, dy + r * C, c, C);
    gamma.load(g, c, C);
    for (int j = 0; j < kPack<T>; ++j) {
      v[j] = (v[j] - mean) * rstd;
      d[j] *= g[j];
    }
  };
  for_each_pack<T>(C, [&](std::int64_t c) {
    load(c);
    for (int j = 0; j < kPack<T>; ++j) {
      sum_g += d[j];
      sum_gn += d[j] * v[j];
    }
  });
  const float mean_g = warp_sum(sum_g) / static_cast<float>(C);
  const float mean_gn = warp_sum(sum_gn) / static_cast<float>(C);
  for_each_pack<T>(C, [&](std::int64_t c) {
    float base[kPack<T>] = {};
    load(c);
    if (residual) load_pack(base, residual + r * C, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      v[j] = base[j] + rstd * (d[j] - mean_g - v[j] * mean_gn);
    store_pack(dx + r * C, v, c, C);
  });
}

template <class T>
struct WeightTerms {
  const T *dy, *x;
  const float *mean, *rstd;
  std::int64_t C;

  __device__ void operator()(std::int64_t r, std::int64_t c, float (&terms)[2][kPack<T>]) const {
    float v[kPack<T>];
    load_pack(v, x + r * C, c, C);
    load_pack(terms[1], dy + r * C, c, C);
    for (int j = 0; j < kPack<T>; ++j)
      terms[0][j] = terms[1][j] * (v[j] - mean[r]) * rstd[r];
  }
};

}  // namespace

void layernorm_forward(Tensor& y, LayerNormStatistics& statistics, const Tensor& x,
                       const Tensor& gamma, const Tensor& beta, Stream& stream) {
  const std::int64_t C = gamma.count(), rows = x.count() / C;
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(layernorm_forward_kernel<T>, {warps_of(rows), kThreads}, stream, y.data<T>(),
           statistics.mean.data(), statistics.rstd.data(), x.data<T>(), AnyFloats(gamma),
           AnyFloats(beta), rows, C);
  });
}

void layernorm_backward_input(Tensor& dx, const Tensor& dy, const Tensor& residual, const Tensor& x,
                              const LayerNormStatistics& statistics, const Tensor& gamma,
                              Stream& stream) {
  const std::int64_t C = gamma.count(), rows = x.count() / C;
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(layernorm_backward_kernel<T>, {warps_of(rows), kThreads}, stream, dx.data<T>(),
           dy.data<T>(), residual ? residual.data<T>() : nullptr, x.data<T>(),
           statistics.mean.data(), statistics.rstd.data(), AnyFloats(gamma), rows, C);
  });
}

void layernorm_backward_weight(Tensor& dgamma, Tensor& dbeta, const Tensor& dy, const Tensor& x,
                               const LayerNormStatistics& statistics, Stream& stream) {
  const std::int64_t C = dgamma.count(), rows = x.count() / C;
  with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const WeightTerms<T> terms{dy.data<T>(), x.data<T>(), statistics.mean.data(),
                               statistics.rstd.data(), C};
    add_column_sums<T>(Sums<2>{{AnyFloats(dgamma), AnyFloats(dbeta)}}, terms, rows, C, x.device(),
                       stream);
  });
}

}  // namespace lockstep::kernels::cuda
