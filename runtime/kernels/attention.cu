// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "runtime/base/with_type.hpp"
#include "runtime/kernels/attention.cuh"
#include "runtime/kernels/attention.hpp"
#include "runtime/kernels/attention_cudnn.hpp"
#include "runtime/kernels/warp_rows.cuh"

namespace lockstep::kernels::cuda {

namespace {

// delta[b,h,t] = sum over the head's channels of dO O: a warp for each.
template <class T>
__global__ void delta_kernel(float* delta, const T* d_o, const T* o, std::int64_t rows,
                             std::int64_t heads, std::int64_t tokens, std::int64_t D) {
  const std::int64_t i = row_of_warp();  // (b, t, h)
  if (i >= rows * heads) return;
  float a[kPack<T>], b[kPack<T>], sum = 0;
  for_each_pack<T>(D, [&](std::int64_t d) {
    load_pack(a, d_o + i * D, d, D);
    load_pack(b, o + i * D, d, D);
    for (int j = 0; j < kPack<T>; ++j)
      sum += a[j] * b[j];
  });
  sum = warp_sum(sum);
  const std::int64_t row = i / heads, h = i % heads;
  if (threadIdx.x % kWarp == 0) delta[(row / tokens * heads + h) * tokens + row % tokens] = sum;
}

template <class T>
AttentionTensors<T> tensors_of(const Tensor& qkv, Tensor& log_sums, const AttentionShape& shape,
                               const DropoutMask& mask) {
  AttentionTensors<T> t{};
  t.qkv = qkv.data<T>();
  t.log_sums = log_sums.data();
  t.shape = shape;
  t.mask = mask;
  t.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  return t;
}

// What the library computes, where it is asked for and can.
FusedAttention* fused(AttentionPass pass, const Tensor& qkv, const AttentionShape& shape,
                      const DropoutMask& mask) {
  return asks_library(pass, qkv, mask) ? fused_attention(pass, shape) : nullptr;
}

}  // namespace

void attention_forward(Tensor& o, Tensor& log_sums, const Tensor& qkv, const AttentionShape& shape,
                       const DropoutMask& mask, Stream& stream) {
  if (FusedAttention* const library = fused(AttentionPass::forward, qkv, shape, mask))
    return library->run({&qkv, &o, &log_sums}, stream);
  with_float(qkv.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto t = tensors_of<T>(qkv, log_sums, shape, mask);
    t.out = o.data<T>();
    if constexpr (sizeof(T) == 2) {
      if (tiles_can(shape)) return attention_forward_by_tiles(t, stream);
    }
    attention_forward_by_rows(t, stream);
  });
}

void attention_backward(Tensor& dqkv, const Tensor& d_o, const Tensor& o, const Tensor& log_sums,
                        const Tensor& qkv, const AttentionShape& shape, const DropoutMask& mask,
                        Stream& stream) {
  if (FusedAttention* const library = fused(AttentionPass::backward, qkv, shape, mask))
    return library->run({&qkv, &o, &log_sums, &d_o, &dqkv}, stream);
  Device& device = qkv.device();
  const std::int64_t rows = shape.batch * shape.tokens;
  const MemoryScope scope(device, MemoryUse::buffers);
  Tensor delta = Tensor::empty(device, {rows * shape.heads}), sums = log_sums;
  with_float(qkv.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(delta_kernel<T>, {warps_of(rows * shape.heads), kThreads}, stream, delta.data(),
           d_o.data<T>(), o.data<T>(), rows, shape.heads, shape.tokens, shape.head_dim);
    auto t = tensors_of<T>(qkv, sums, shape, mask);
    t.d_o = d_o.data<T>();
    t.o = o.data<T>();
    t.dqkv = dqkv.data<T>();
    t.delta = delta.data();
    if constexpr (sizeof(T) == 2) {
      if (tiles_can(shape)) return attention_backward_by_tiles(t, stream);
    }
    attention_backward_by_rows(t, stream);
  });
}

}  // namespace lockstep::kernels::cuda
