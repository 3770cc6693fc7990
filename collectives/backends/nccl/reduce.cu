// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/nccl/reduce.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "runtime/device/cuda_launch.hpp"

namespace lockstep::nccl {

namespace {

constexpr unsigned kThreads = 256;
constexpr std::size_t kMostBlocks = 2048;  // more than any GPU runs at a time: the rest is a loop

// 16-bit floats are added in float32 and rounded once, as on the host.
template <class T>
struct Wide {
  using type = T;
};
template <>
struct Wide<__nv_bfloat16> {
  using type = float;
};
template <>
struct Wide<__half> {
  using type = float;
};

template <ReduceOp op, class T>
__device__ T reduced(T a, T b) {
  if constexpr (op == ReduceOp::product) return static_cast<T>(a * b);
  if constexpr (op == ReduceOp::min) return b < a ? b : a;
  if constexpr (op == ReduceOp::max) return b > a ? b : a;
  return static_cast<T>(a + b);
}

template <ReduceOp op, class T>
__global__ void combine_kernel(T* out, const T* a, const T* b, std::size_t n) {
  using W = typename Wide<T>::type;
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; i < n;
       i += step)
    out[i] = static_cast<T>(reduced<op, W>(static_cast<W>(a[i]), static_cast<W>(b[i])));
}

// Of integers in 64 bits: more ranks than a byte counts divide, too.
template <class T>
using Divisor =
    std::conditional_t<std::is_integral_v<T>, std::int64_t, typename Wide<T>::type>;

template <class T>
__global__ void divide_kernel(T* x, Divisor<T> by, std::size_t n) {
  using W = typename Wide<T>::type;
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * static_cast<std::size_t>(blockDim.x) + threadIdx.x; i < n;
       i += step)
    x[i] = static_cast<T>(static_cast<W>(x[i]) / by);
}

Launch grid_for(std::size_t n) {
  const std::size_t blocks = std::min((n + kThreads - 1) / kThreads, kMostBlocks);
  return {dim3(static_cast<unsigned>(blocks)), dim3(kThreads)};
}

template <class F>
void with_device_type(DType dtype, F body) {
  switch (dtype) {
    case DType::float32:
      return body(float{});
    case DType::float64:
      return body(double{});
    case DType::bfloat16:
      return body(__nv_bfloat16{});
    case DType::float16:
      return body(__half{});
    case DType::int32:
      return body(std::int32_t{});
    case DType::int64:
      return body(std::int64_t{});
    case DType::uint8:
      return body(std::uint8_t{});
  }
}

template <ReduceOp op>
void launch_combine(const Elements& out, const Elements& a, const Elements& b,
                    Stream& stream) {
  with_device_type(out.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(combine_kernel<op, T>, grid_for(out.count), stream, reinterpret_cast<T*>(out.data),
           reinterpret_cast<const T*>(a.data), reinterpret_cast<const T*>(b.data), out.count);
  });
}

}  // namespace

void combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op,
             Stream& stream) {
  expect(out.count == a.count && out.count == b.count, "combine of unequal counts");
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
  with_device_type(result.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(divide_kernel<T>, grid_for(result.count), stream, reinterpret_cast<T*>(result.data),
           static_cast<Divisor<T>>(contributions), result.count);
  });
}

}  // namespace lockstep::nccl
