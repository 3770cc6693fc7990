// SPDX-License-Identifier: Apache-2.0
// Sums over the rows of a matrix, in a fixed order: gradients of biases and norms.
//
// Two kernels. In the first a block takes a strip of columns and one of several equal ranges of rows,
// so many that all blocks together fill a GPU, since a warp has one row's load under way at a time; its
// warps take rows by turns and their sums are added in order. The second adds the ranges in order to
// what is there. Reads its input once; the partial sums are a small part of it.
#pragma once

#include <algorithm>

#include "runtime/kernels/any_floats.cuh"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels::cuda {

constexpr std::int64_t kSumBlocks = 1024;  // what Hopper's 132 multiprocessors run at a time
constexpr int kSumWarps = kThreads / kWarp;

template <class T, int S>
struct StripSums {
  float of_warp[kSumWarps][S][kWarp * kPack<T>];
};

// partial[range][S][columns]; terms(row, column, terms[S][pack]) are what is summed.
template <class T, int S, class Terms>
__global__ void range_sums_kernel(float* partial, Terms terms, std::int64_t rows,
                                  std::int64_t columns) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::int64_t strip = std::int64_t{blockIdx.x} * kWarp * kPack<T>;
  const std::int64_t c = strip + lane * kPack<T>;
  const std::int64_t begin = rows * blockIdx.y / gridDim.y;
  const std::int64_t end = rows * (blockIdx.y + 1) / gridDim.y;
  float sums[S][kPack<T>] = {};
  if (c < columns) {
    for (std::int64_t r = begin + warp; r < end; r += kSumWarps) {
      float now[S][kPack<T>];
      terms(r, c, now);
      for (int s = 0; s < S; ++s) {
        for (int j = 0; j < kPack<T>; ++j)
          sums[s][j] += now[s][j];
      }
    }
  }
  auto& all = shared<StripSums<T, S>>();
  for (int s = 0; s < S; ++s) {
    for (int j = 0; j < kPack<T>; ++j)
      all.of_warp[warp][s][lane * kPack<T> + j] = sums[s][j];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < S * kWarp * kPack<T>; i += kThreads) {
    const int s = i / (kWarp * kPack<T>), at = i % (kWarp * kPack<T>);
    if (strip + at >= columns) continue;
    float sum = 0;
    for (int w = 0; w < kSumWarps; ++w)
      sum += all.of_warp[w][s][at];
    partial[(std::int64_t{blockIdx.y} * S + s) * columns + strip + at] = sum;
  }
}

// to[s][c] += the ranges' sums. A block takes 32 columns' s-th sums, its warps the ranges by turns.
template <int S>
struct Sums {
  AnyFloats of[S];
};
struct RangeSums {
  float of_warp[kWarp][kWarp];
};
template <int S>
__global__ void add_ranges_kernel(Sums<S> to, const float* partial, int ranges,
                                  std::int64_t columns) {
  static_assert(S <= 2);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const std::int64_t c = std::int64_t{blockIdx.x} * kWarp + lane;
  const int s = blockIdx.y, end = c < columns ? ranges : 0;
  float sum = 0;
  for (int range = warp; range < end; range += warps)
    sum += partial[(std::int64_t{range} * S + s) * columns + c];
  auto& all = shared<RangeSums>();
  all.of_warp[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || c >= columns) return;
  for (int w = 1; w < warps; ++w)
    sum += all.of_warp[w][lane];
  (s == 0 ? to.of[0] : to.of[S - 1]).add(c, sum);
}

template <class T, int S, class Terms>
void add_column_sums(const Sums<S>& to, const Terms& terms, std::int64_t rows, std::int64_t columns,
                     Device& device, Stream& stream) {
  const std::int64_t strips = (columns + kWarp * kPack<T> - 1) / (kWarp * kPack<T>);
  const std::int64_t most = std::max<std::int64_t>(rows / kSumWarps, 1);
  const std::int64_t ranges = std::clamp<std::int64_t>(kSumBlocks / strips, 1, most);
  const MemoryScope scope(device, MemoryUse::buffers);
  Tensor partial = Tensor::empty(device, {ranges, S, columns});
  launch(range_sums_kernel<T, S, Terms>,
         {dim3(static_cast<unsigned>(strips), static_cast<unsigned>(ranges)), kThreads}, stream,
         partial.data(), terms, rows, columns);
  const auto warps = static_cast<unsigned>(std::min<std::int64_t>(ranges, kWarp));
  launch(add_ranges_kernel<S>,
         {dim3(static_cast<unsigned>((columns + kWarp - 1) / kWarp), S), warps * kWarp}, stream, to,
         partial.data(), static_cast<int>(ranges), columns);
}

}  // namespace lockstep::kernels::cuda
