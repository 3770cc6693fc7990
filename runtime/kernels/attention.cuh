// SPDX-License-Identifier: Apache-2.0
// What both forms of attention on the GPU share: where a head lies in the packed tensors, and the
// arguments of forward and backward. Both are deterministic: backward computes the scores twice, once
// for dQ, once for dK and dV, instead of adding to dQ from many blocks.
#pragma once

#include "runtime/base/philox.hpp"
#include "runtime/kernels/attention.hpp"
#include "runtime/kernels/cuda_code.cuh"

namespace lockstep::kernels::cuda {

constexpr float kLog2e = 1.44269504f, kLn2 = 0.693147181f;

template <class T>
struct AttentionTensors {
  const T *qkv, *o, *d_o;  // the last two of backward
  T *out, *dqkv;
  float* log_sums;
  const float* delta;  // of backward, [B,H,T]: sum over c of dO O
  AttentionShape shape;
  DropoutMask mask;
  float scale;  // 1 / sqrt(D)
};

// One query head of one sample; offsets as in attention.cpp.
struct HeadPlace {
  std::int64_t stride, C;     // of rows of qkv, of o
  std::int64_t q, k, v, out;  // of q[0], k[0], v[0], o[0]
  std::int64_t row_sums;      // of log_sums and delta
  std::uint64_t masked;       // global index of element (q = 0, k = 0) of the mask

  __device__ HeadPlace(const AttentionShape& s, std::int64_t b, std::int64_t h)
      : stride(s.packed()),
        C(s.channels()),
        q(b * s.tokens * stride + h * s.head_dim),
        k(b * s.tokens * stride + C + h / (s.heads / s.kv_heads) * s.head_dim),
        v(k + s.kv_heads * s.head_dim),
        out(b * s.tokens * C + h * s.head_dim),
        row_sums((b * s.heads + h) * s.tokens),
        masked(static_cast<std::uint64_t>(((b * s.mask_heads + s.first_head + h) * s.tokens) *
                                          s.tokens)) {}
};

// The factor of one attention weight.
__device__ inline float dropped(const DropoutMask& mask, const HeadPlace& head, std::int64_t query,
                                std::int64_t key, std::int64_t tokens) {
  if (mask.share == 0) return 1.0f;
  const std::uint64_t at =
      mask.first + head.masked + static_cast<std::uint64_t>(query * tokens + key);
  const PhiloxBlock block = philox(mask.key, at / 4);
  const unsigned place = static_cast<unsigned>(at % 4);
  const std::uint32_t low = place % 2 ? block.word[1] : block.word[0];
  const std::uint32_t high = place % 2 ? block.word[3] : block.word[2];
  return uniform01(place < 2 ? low : high) >= mask.share ? 1.0f / (1.0f - mask.share) : 0.0f;
}

// By tensor cores: bfloat16, D a multiple of 8 up to 128, above 64 where a block may have 103 KiB of
// shared memory. 64 queries and 64 keys at a time.
bool tiles_can(const AttentionShape& shape);
void attention_forward_by_tiles(const AttentionTensors<BFloat16>& t, Stream& stream);
void attention_backward_by_tiles(const AttentionTensors<BFloat16>& t, Stream& stream);

// Everything else, D up to 256: a warp for a row, 32 scores at a time.
template <class T>
void attention_forward_by_rows(const AttentionTensors<T>& t, Stream& stream);
template <class T>
void attention_backward_by_rows(const AttentionTensors<T>& t, Stream& stream);

}  // namespace lockstep::kernels::cuda
