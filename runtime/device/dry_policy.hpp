// SPDX-License-Identifier: Apache-2.0
// What a dry device stands for, where that is not this program as it is: other software, whose
// published measurements predictions are held against; and 16 bits. (Of this program the device
// computes in them itself, so only the bytes that kernels state for float32 are halved.)
//
//   mixed     values, activations and messages of 16 bits; gradients and their sums of 32;
//   optimizer
//             states of 32 beside master weights of 32: with AdamW 2 + 4 + 12 bytes per parameter,
//             as Megatron-LM with gradients accumulated in float32
//   separate  Megatron-LM of 2021 and 2022 (D. Narayanan et al., SC 2021; V. Korthikanti et al.,
//   2022):
//             attention as products and passes over the T x T scores, as before FlashAttention, and
//             the gradients of queries, keys and values joined by a copy; the cross entropy in
//             passes over float32 logits; weight gradients added to those of the step, those of
//             biases summed, and a branch's added to the residual's, by passes of their own
//             (PyTorch's autograd); nothing computed while the tensor group communicates; the
//             update in passes (unscaled, clipped, copied to 16 bits); it keeps of an attention
//             what it needs of T x T scores (softmax, mask, what dropout leaves), and every mask of
//             dropout, which we draw again
#pragma once

#include <array>
#include <vector>

#include "runtime/device/recording.hpp"

namespace lockstep {

struct DryPolicy {
  bool mixed = false;
  bool separate = false;
  bool drops = false;        // the model has dropout
  int optimizer_states = 2;  // of 4 bytes per parameter

  bool changes_nothing() const { return !mixed && !separate; }
};

// What the device records in place of an operation.
std::vector<Operation> recorded_as(const Operation& operation, const DryPolicy& policy);

// Activations that the software keeps beside ours, in elements; nothing where nothing is separate.
struct KeptBesides {
  double of_score = 0;    // of each of B H T T
  double of_context = 0;  // of each output of the attention core that is computed again
  double of_dropped = 0;  // of each element of a residual branch
};
KeptBesides kept_besides(const DryPolicy& policy);

// Bytes held for each byte that is taken in float32, by use: parameters, gradients, optimizer
// states, activations, buffers.
std::array<double, 5> held_per_byte(const DryPolicy& policy);

}  // namespace lockstep
