// SPDX-License-Identifier: Apache-2.0
// Token and position embedding.   M = B x T tokens, C channels, V vocabulary.
#pragma once

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

// y[M,C] = token_table[tokens] + position_table[0..T)   tokens [B,T] int32, tables [R,C], [>=T,C]
// The table holds the rows of tokens [first, first + R); the row of another is zero. An empty
// position table adds nothing.
void embedding_forward(Tensor& y, const Tensor& tokens, const Tensor& token_table,
                       const Tensor& position_table, std::int64_t first, Stream& stream);

// Adds the rows of dy to the rows of the tables' gradients, in token order: deterministic.
void embedding_backward(Tensor& dtoken_table, Tensor& dposition_table, const Tensor& dy,
                        const Tensor& tokens, std::int64_t first, Stream& stream);

// y[M, W*C]: the embeddings of the W tokens that end at each position, oldest first, zero before
// the start of the sequence. The input of a feed-forward language model (Bengio et al., 2003).
void window_embedding_forward(Tensor& y, const Tensor& tokens, const Tensor& table,
                              std::int64_t window, Stream& stream);
void window_embedding_backward(Tensor& dtable, const Tensor& dy, const Tensor& tokens,
                               std::int64_t window, Stream& stream);

// embedding.cu
namespace cuda {
void embedding_forward(Tensor& y, const Tensor& tokens, const Tensor& token_table,
                       const Tensor& position_table, std::int64_t first, Stream& stream);
void embedding_backward(Tensor& dtoken_table, Tensor& dposition_table, const Tensor& dy,
                        const Tensor& tokens, std::int64_t first, Stream& stream);
void window_embedding_forward(Tensor& y, const Tensor& tokens, const Tensor& table,
                              std::int64_t window, Stream& stream);
void window_embedding_backward(Tensor& dtable, const Tensor& dy, const Tensor& tokens,
                               std::int64_t window, Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
