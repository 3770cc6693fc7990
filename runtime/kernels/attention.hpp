// SPDX-License-Identifier: Apache-2.0
// Causal self-attention.   B batch, T tokens, H query heads of this rank, D channels a head, C = H
// D.
//   O = softmax(Q K^T / sqrt(D), causal) V       for each batch and head
// H / Hkv consecutive query heads share a key and a value head (Ainslie et al., grouped-query
// attention, 2023).
//
// Blocked by 64 queries: a thread holds 64 rows of scores (64 T floats) at a time, so memory is
// linear in T, and no T x T tensor exists. Backward computes the scores again from the saved
// logarithm of each row's sum (Dao et al., FlashAttention, 2022); keys behind the block's last
// query are skipped. FLOPs are counted dense, as MFU does: 4 B T^2 C forward, 8 B T^2 C backward.
#pragma once

#include "runtime/kernels/dropout.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

struct AttentionShape {
  std::int64_t batch, tokens, heads, kv_heads, head_dim;  // B, T, H, Hkv, D
  std::int64_t mask_heads, first_head;  // query heads of all ranks; this rank's first of them

  // Every head is here, each with its own keys and values.
  static AttentionShape whole(std::int64_t B, std::int64_t T, std::int64_t H, std::int64_t D) {
    return {B, T, H, H, D, H, 0};
  }
  constexpr std::int64_t channels() const { return heads * head_dim; }  // a row of o
  constexpr std::int64_t packed() const {
    return (heads + 2 * kv_heads) * head_dim;
  }  // a row of qkv
};

// o[B*T,C], log_sums[B,H,T] from qkv[B*T,(H+2Hkv)D] (q, then k, then v; heads are consecutive
// slices of D). `mask` drops attention weights by their place among all heads: element (b,h,q,k) is
// ((b mask_heads + first_head + h) T + q) T + k.
void attention_forward(Tensor& o, Tensor& log_sums, const Tensor& qkv, const AttentionShape& shape,
                       const DropoutMask& mask, Stream& stream);

// With P = softmax(S), D_i = sum_c dO_ic O_ic:   dV = P^T dO,  dS = P (dO V^T - D),
// dQ = dS K / sqrt(D),  dK = dS^T Q / sqrt(D).   dqkv[B*T,(H+2Hkv)D] is overwritten; dK and dV are
// added over the query heads that share them, in order.
void attention_backward(Tensor& dqkv, const Tensor& d_o, const Tensor& o, const Tensor& log_sums,
                        const Tensor& qkv, const AttentionShape& shape, const DropoutMask& mask,
                        Stream& stream);

enum class AttentionPass : std::uint8_t { forward, backward };
// Whether a GPU asks cuDNN for the pass (numerics().attention). What that cannot is ours all the
// same.
bool asks_library(AttentionPass pass, const Tensor& qkv, const DropoutMask& mask);

// attention.cu
namespace cuda {
void attention_forward(Tensor& o, Tensor& log_sums, const Tensor& qkv, const AttentionShape& shape,
                       const DropoutMask& mask, Stream& stream);
void attention_backward(Tensor& dqkv, const Tensor& d_o, const Tensor& o, const Tensor& log_sums,
                        const Tensor& qkv, const AttentionShape& shape, const DropoutMask& mask,
                        Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
