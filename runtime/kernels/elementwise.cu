// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/philox.hpp"
#include "runtime/base/with_type.hpp"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep::kernels::cuda {

namespace {

template <class T>
__global__ void fill_kernel(T* y, float value, std::int64_t n) {
  const std::int64_t i = pack_begin<T>();
  if (i >= n) return;
  float v[kPack<T>];
  for (float& e : v)
    e = value;
  store_pack(y, v, i, n);
}

// Between types, too; a thread takes as many elements as fill 16 bytes of the smaller one.
template <class Y, class X>
__global__ void copy_kernel(Y* y, const X* x, std::int64_t n) {
  constexpr int kMost = kPack < Y >> kPack<X> ? kPack<Y> : kPack<X>;
  const std::int64_t i = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kMost;
  if (i >= n) return;
  float v[kMost];
  load_floats(v, x, i, n);
  store_floats(y, v, i, n);
}

template <class T>
__global__ void add_kernel(T* y, const T* x, std::int64_t n) {
  const std::int64_t i = pack_begin<T>();
  if (i >= n) return;
  float sum[kPack<T>], v[kPack<T>];
  load_pack(sum, y, i, n);
  load_pack(v, x, i, n);
  for (int j = 0; j < kPack<T>; ++j)
    sum[j] += v[j];
  store_pack(y, sum, i, n);
}

// One thread draws the numbers of one Philox block that fall into a row: of elements [4b, 4b + 4)
// of the whole matrix those in the part.
template <class T>
__global__ void fill_normal_kernel(T* y, double deviation, std::uint64_t key, std::int64_t rows,
                                   std::int64_t columns, std::int64_t full_columns,
                                   std::int64_t first_row, std::int64_t first_column) {
  const std::int64_t blocks_a_row = columns / 4 + 2;
  const std::int64_t thread = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t r = thread / blocks_a_row;
  if (r >= rows) return;
  const std::int64_t begin = (first_row + r) * full_columns + first_column, end = begin + columns;
  const std::int64_t b = begin / 4 + thread % blocks_a_row;
  if (4 * b >= end) return;
  const PhiloxBlock block = philox(key, static_cast<std::uint64_t>(b));
  for (int i = 0; i < 4; ++i) {
    const std::int64_t at = 4 * b + i;
    if (at < begin || at >= end) continue;
    const int pair = i / 2 * 2;
    const double radius = sqrt(-2.0 * log(1.0 - double{uniform01(block.word[pair])}));
    const double angle = 6.283185307179586 * double{uniform01(block.word[pair + 1])};
    const double z = radius * (i % 2 ? sin(angle) : cos(angle));
    store(y + r * columns + at - begin, static_cast<float>(deviation * z));
  }
}

// One block, in a fixed order.
struct PartialSums {
  double of_warp[kThreads / kWarp];
};
__global__ void add_scaled_sum_kernel(float* sum, const float* x, double scale, std::int64_t n) {
  double mine = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads)
    mine += x[i];
  const double total = block_sum(mine, shared<PartialSums>().of_warp);
  if (threadIdx.x == 0) *sum += static_cast<float>(scale * total);
}

}  // namespace

void fill(Tensor& y, float value, Stream& stream) {
  const std::int64_t n = y.count();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(fill_kernel<T>, {packs_of<T>(n), kThreads}, stream, y.data<T>(), value, n);
  });
}

void copy(Tensor& y, const Tensor& x, Stream& stream) {
  const std::int64_t n = y.count();
  with_float(y.dtype(), [&](auto out) {
    with_float(x.dtype(), [&](auto in) {
      using Y = decltype(out);
      using X = decltype(in);
      const dim3 grid = sizeof(Y) < sizeof(X) ? packs_of<Y>(n) : packs_of<X>(n);
      launch(copy_kernel<Y, X>, {grid, kThreads}, stream, y.data<Y>(), x.data<X>(), n);
    });
  });
}

void add(Tensor& y, const Tensor& x, Stream& stream) {
  const std::int64_t n = y.count();
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(add_kernel<T>, {packs_of<T>(n), kThreads}, stream, y.data<T>(), x.data<T>(), n);
  });
}

void fill_normal_part(Tensor& y, float deviation, std::uint64_t key, std::int64_t full_columns,
                      std::int64_t first_row, std::int64_t first_column, Stream& stream) {
  const std::int64_t columns = y.dim(-1), rows = y.count() / columns;
  with_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(fill_normal_kernel<T>, {blocks_of(rows * (columns / 4 + 2)), kThreads}, stream,
           y.data<T>(), double{deviation}, key, rows, columns, full_columns, first_row,
           first_column);
  });
}

void add_scaled_sum(Tensor& sum, const Tensor& x, float scale, Stream& stream) {
  launch(add_scaled_sum_kernel, {1, kThreads}, stream, sum.data(), x.data(), double{scale},
         x.count());
}

}  // namespace lockstep::kernels::cuda
