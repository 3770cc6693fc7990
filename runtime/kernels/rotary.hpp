// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al., RoFormer, 2021) of the queries and keys, in place.
// Channels i and i + D/2 of a head are a pair (as in Llama's published weights); at position t it
// turns by the angle  a = t base^(-2i/D).
#pragma once

#include "runtime/kernels/attention.hpp"

namespace lockstep::kernels {

// table[T,D]: cos a of the D/2 pairs, then sin a. D is even.
void rotary_table(Tensor& table, float base, Stream& stream);

// (x1, x2) -> (x1 cos a - x2 sin a, x2 cos a + x1 sin a) in the q and k heads of
// qkv[B*T,(H+2Hkv)D]; positions are 0..T-1 in each sample. The table has T rows or more.
void rotary_forward(Tensor& qkv, const Tensor& table, const AttentionShape& shape, Stream& stream);
// The inverse rotation of dq and dk.
void rotary_backward(Tensor& dqkv, const Tensor& table, const AttentionShape& shape,
                     Stream& stream);

// rotary.cu; `sign` -1 turns back. The table is float32.
namespace cuda {
void rotary_table(Tensor& table, float base, Stream& stream);
void rotate(Tensor& qkv, const Tensor& table, const AttentionShape& shape, float sign,
            Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
