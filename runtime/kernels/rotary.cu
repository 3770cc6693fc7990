// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/with_type.hpp"
#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/rotary.hpp"

namespace lockstep::kernels::cuda {

namespace {

// A thread turns a pack of pairs of one head of one row; the table is float32.
template <class T>
__global__ void rotate_kernel(T* qkv, const float* table, float sign, std::int64_t rows, int turned,
                              int D, std::int64_t width, std::int64_t tokens) {
  const int half = D / 2, packs = (half + kPack<T> - 1) / kPack<T>;
  const std::int64_t thread = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t row = thread / (turned * packs);
  if (row >= rows) return;
  const int head = static_cast<int>(thread / packs % turned);
  const int i = static_cast<int>(thread % packs) * kPack<T>;
  T* x = qkv + row * width + head * D;
  const float* angles = table + row % tokens * D;
  float a[kPack<T>], b[kPack<T>], cosine[kPack<T>], sine[kPack<T>];
  load_pack(a, x, i, half);
  load_pack(b, x + half, i, half);
  load_floats(cosine, angles, i, half);
  load_floats(sine, angles + half, i, half);
  for (int j = 0; j < kPack<T>; ++j) {
    const float x1 = a[j], x2 = b[j], s = sign * sine[j];
    a[j] = x1 * cosine[j] - x2 * s;
    b[j] = x2 * cosine[j] + x1 * s;
  }
  store_pack(x, a, i, half);
  store_pack(x + half, b, i, half);
}

__global__ void rotary_table_kernel(float* table, double base, std::int64_t T, std::int64_t D) {
  const std::int64_t thread = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (thread >= T * (D / 2)) return;
  const std::int64_t t = thread / (D / 2), i = thread % (D / 2);
  const double angle = static_cast<double>(t) * pow(base, -2.0 * static_cast<double>(i) / D);
  table[t * D + i] = static_cast<float>(cos(angle));
  table[t * D + D / 2 + i] = static_cast<float>(sin(angle));
}

}  // namespace

void rotate(Tensor& qkv, const Tensor& table, const AttentionShape& shape, float sign,
            Stream& stream) {
  const std::int64_t rows = shape.batch * shape.tokens, turned = shape.heads + shape.kv_heads;
  with_float(qkv.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t packs = (shape.head_dim / 2 + kPack<T> - 1) / kPack<T>;
    launch(rotate_kernel<T>, {blocks_of(rows * turned * packs), kThreads}, stream, qkv.data<T>(),
           table.data(), sign, rows, static_cast<int>(turned), static_cast<int>(shape.head_dim),
           shape.packed(), shape.tokens);
  });
}

void rotary_table(Tensor& table, float base, Stream& stream) {
  const std::int64_t T = table.dim(0), D = table.dim(1);
  launch(rotary_table_kernel, {blocks_of(T * D / 2), kThreads}, stream, table.data(), double{base},
         T, D);
}

}  // namespace lockstep::kernels::cuda
