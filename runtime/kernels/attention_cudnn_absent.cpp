// SPDX-License-Identifier: Apache-2.0
// A build without cuDNN's headers.
#include "runtime/kernels/attention_cudnn.hpp"

namespace lockstep::kernels::cuda {

FusedAttention* fused_attention(AttentionPass, const AttentionShape&) {
  return nullptr;
}

std::string fused_attention_library() {
  return "our own; built without cuDNN";
}

std::string fused_attention_refusal(AttentionPass, const AttentionShape&, const std::string&) {
  return fused_attention_library();
}

}  // namespace lockstep::kernels::cuda
