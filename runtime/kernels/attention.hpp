// SPDX-License-Identifier: Apache-2.0
// Causal self-attention.   B batch, T tokens, H heads, D channels a head, C = H D.
//   O = softmax(Q K^T / sqrt(D), causal) V       for each batch and head
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
  std::int64_t batch, tokens, heads, channels;  // B, T, H, C
};

// o[B*T,C], log_sums[B,H,T] from qkv[B*T,3C] (q, then k, then v; heads are consecutive slices of
// D). `mask` drops attention weights; element (b,h,q,k) is ((b H + h) T + q) T + k.
void attention_forward(Tensor& o, Tensor& log_sums, const Tensor& qkv, const AttentionShape& shape,
                       const DropoutMask& mask, Stream& stream);

// With P = softmax(S), D_i = sum_c dO_ic O_ic:   dV = P^T dO,  dS = P (dO V^T - D),
// dQ = dS K / sqrt(D),  dK = dS^T Q / sqrt(D).   dqkv[B*T,3C] is overwritten.
void attention_backward(Tensor& dqkv, const Tensor& d_o, const Tensor& o, const Tensor& log_sums,
                        const Tensor& qkv, const AttentionShape& shape, const DropoutMask& mask,
                        Stream& stream);

}  // namespace lockstep::kernels
