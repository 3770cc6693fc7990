// SPDX-License-Identifier: Apache-2.0
// Causal self-attention with its two projections, cut by heads: a rank computes H/t query heads and
// Hkv/t heads of keys and values, from end to end.   x [this rank's rows, C] -> the same shape
//
// Its projections communicate as ColumnLinear (I = C) and RowLinear (O = C) do: gather and reduce
// M C elements each in forward; gather twice and reduce once in backward. Nothing in between.
// Rotary embedding: J. Su et al., "RoFormer", 2021. Groups of query heads that share keys and
// values: J. Ainslie et al., "GQA", 2023.
#pragma once

#include "parallelism/model_plan.hpp"
#include "parallelism/tensor/column_linear.hpp"
#include "parallelism/tensor/row_linear.hpp"
#include "runtime/kernels/attention.hpp"
#include "runtime/nn/dropout.hpp"

namespace lockstep {

struct AttentionOptions {
  std::int64_t channels, heads, kv_heads;  // C, H, Hkv of all ranks
  nn::Bias bias = nn::Bias::zero;
  Tensor rotary{};                 // table of kernels::rotary_table; empty: no rotation
  float dropout = 0;               // share of attention weights dropped
  float projection_deviation = 0;  // of the output projection's initial weights
  // selective: the outputs of the heads are not kept but computed again
  Recompute recompute = Recompute::none;
};

class TensorAttention : public Module {
 public:
  TensorAttention(Device& device, const TensorGroup& group, const std::string& name,
                  const AttentionOptions& options, const Init& init);

  Tensor forward(const Tensor& x, Stash& stash) override {
    return forward_onto(Tensor(), x, stash);
  }
  Tensor forward_onto(const Tensor& residual, const Tensor& x, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;

 private:
  struct Core {
    Tensor o, log_sums;  // [M,C/t], [B,H/t,T]
  };
  kernels::AttentionShape shape_of(const MicroBatch& batch) const;
  kernels::DropoutMask mask_of(const Stash& stash) const;
  Core heads_of(const Tensor& qkv, const Stash& stash) const;
  // Other software: its scores, or the outputs of the heads.
  Tensor kept_besides_of(const Core& core, const Stash& stash) const;

  TensorGroup group_;
  AttentionOptions options_;
  ColumnLinear qkv_;  // queries, keys, values: [(H+2Hkv)D/t, C]
  RowLinear out_;
  nn::Dropout dropout_;
};

}  // namespace lockstep
