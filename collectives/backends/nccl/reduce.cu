// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <cuda_fp16.h>

#include "collectives/backends/nccl/reduce.hpp"
#include "runtime/base/with_type.hpp"
#include "runtime/kernels/cuda_primitives.cuh"

namespace lockstep::nccl {

namespace {

constexpr unsigned kThreads = 256;
constexpr std::size_t kMostBlocks = 2048;  // more than any GPU runs at a time: the rest is a loop

// 16-bit floats are added in float32 and rounded once, as on the host.
template <class T>
using Wide =
    std::conditional_t<std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>, float, T>;
// Of integers in 64 bits: more ranks than a byte counts divide, too.
template <class T>
using Divisor = std::conditional_t<std::is_integral_v<T>, std::int64_t, Wide<T>>;

template <class T>
__device__ Wide<T> load(T x) {
  if constexpr (std::is_same_v<T, Float16>) {
    return __half2float(__ushort_as_half(x.bits));
  } else {
    return static_cast<Wide<T>>(x);
  }
}
template <class T>
__device__ T stored(Wide<T> x) {
  if constexpr (std::is_same_v<T, Float16>) {
    T y;
    y.bits = __half_as_ushort(__float2half_rn(x));
    return y;
  } else {
    return static_cast<T>(x);
  }
}

template <ReduceOp op, class W>
__device__ W reduced(W a, W b) {
  if constexpr (op == ReduceOp::product) return static_cast<W>(a * b);
  if constexpr (op == ReduceOp::min) return b < a ? b : a;
  if constexpr (op == ReduceOp::max) return a < b ? b : a;
  return static_cast<W>(a + b);
}

template <ReduceOp op, class T>
__global__ void combine_kernel(T* out, const T* a, const T* b, std::size_t n) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += step)
    out[i] = stored<T>(reduced<op, Wide<T>>(load(a[i]), load(b[i])));
}

template <class T>
__global__ void divide_kernel(T* x, Divisor<T> by, std::size_t n) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += step)
    x[i] = stored<T>(static_cast<Wide<T>>(load(x[i]) / by));
}

Launch grid_for(std::size_t n) {
  const std::size_t blocks = std::min((n + kThreads - 1) / kThreads, kMostBlocks);
  return {dim3(static_cast<unsigned>(blocks)), dim3(kThreads)};
}

template <ReduceOp op>
void launch_combine(const Elements& out, const Elements& a, const Elements& b, Stream& stream) {
  with_type(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(combine_kernel<op, T>, grid_for(out.count), stream, reinterpret_cast<T*>(out.data),
           reinterpret_cast<const T*>(a.data), reinterpret_cast<const T*>(b.data), out.count);
    return 0;
  });
}

}  // namespace

void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op,
             Stream& stream) {
  expect(out.count == a.count && a.count == b.count, "reduction of unequal counts");
  if (out.count == 0) return;
  switch (op) {
    case ReduceOp::sum:
    case ReduceOp::average:
      return launch_combine<ReduceOp::sum>(out, a, b, stream);
    case ReduceOp::product:
      return launch_combine<ReduceOp::product>(out, a, b, stream);
    case ReduceOp::min:
      return launch_combine<ReduceOp::min>(out, a, b, stream);
    case ReduceOp::max:
      return launch_combine<ReduceOp::max>(out, a, b, stream);
  }
}

void finish(const Elements& result, ReduceOp op, int contributions, Stream& stream) {
  if (op != ReduceOp::average || contributions == 1 || result.count == 0) return;
  with_type(result.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(divide_kernel<T>, grid_for(result.count), stream, reinterpret_cast<T*>(result.data),
           static_cast<Divisor<T>>(contributions), result.count);
    return 0;
  });
}

}  // namespace lockstep::nccl
