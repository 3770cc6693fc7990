// SPDX-License-Identifier: Apache-2.0
// Attention as one kernel of cuDNN (9, opened when first asked for): bfloat16, causal, no dropout.
//
// The same function as attention_tiles.cu, log_sums included, so that one may compute forward and
// the other backward. Backward adds to dQ from many blocks in any order: the last bits differ from
// run to run. (cuDNN's ordered form keeps a matrix of T x T for each head: B H T^2 of bfloat16.)
//
// CMake chooses attention_cudnn.cpp or attention_cudnn_absent.cpp.
#pragma once

#include <memory>
#include <string>

#include "runtime/kernels/attention.hpp"

namespace lockstep::kernels::cuda {

using kernels::AttentionPass;

// One pass over one shape, planned.
class FusedAttention {
 public:
  virtual ~FusedAttention() = default;
  // o and log_sums are what forward writes and backward reads; d_o and dqkv are backward's.
  struct Tensors {
    const Tensor* qkv;
    const Tensor* o;
    const Tensor* log_sums;
    const Tensor* d_o = nullptr;
    const Tensor* dqkv = nullptr;
  };
  virtual void run(const Tensors& tensors, Stream& stream) = 0;
};

// Of the calling thread; nullptr where cuDNN is not here or has no engine for it. The first call of
// a shape asks for one: tenths of a second.
FusedAttention* fused_attention(AttentionPass pass, const AttentionShape& shape);

// "cuDNN 9.19.0", or "our own; " and why.
std::string fused_attention_library();

// What cuDNN says to the shape on a GPU that is not here, of which it has the properties (JSON):
// empty if it has an engine and compiled it.
std::string fused_attention_refusal(AttentionPass pass, const AttentionShape& shape,
                                    const std::string& device_properties);

}  // namespace lockstep::kernels::cuda
