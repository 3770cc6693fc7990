// SPDX-License-Identifier: Apache-2.0
// Token embedding, plus learned positions where there are any, then dropout. The rows of the token
// table are cut: ceil(V/t) to a rank, and a rank looks up zero for the tokens of others.
//   tokens [B,T] -> [this rank's rows, C]        M = B T rows, V vocabulary, t ranks
//
//   forward          reduce the lookups: M C elements
//   backward_input   gather dY: M C
//   backward_weight  nothing
// A gather is an all_gather under sequence parallelism, else nothing; a reduce is a reduce_scatter,
// else an all_reduce. Rank 0 adds the positions; their gradient is complete on every rank.
#pragma once

#include "parallelism/tensor/cut.hpp"
#include "runtime/nn/dropout.hpp"
#include "runtime/nn/module.hpp"

namespace lockstep {

struct EmbeddingOptions {
  std::int64_t vocabulary, channels;
  std::int64_t positions = 0;  // learned; 0: none
  float dropout = 0;
};

class VocabularyEmbedding : public Module {
 public:
  VocabularyEmbedding(Device& device, const TensorGroup& group, const std::string& name,
                      const EmbeddingOptions& options, const Init& init);

  Tensor forward(const Tensor& tokens, Stash& stash) override;
  Tensor backward_input(Tensor dy, Stash& stash) override;  // returns no tensor
  void backward_weight(Stash& stash) override;
  void parameters(std::vector<Parameter*>& into) override;
  const std::shared_ptr<Parameter>& table() const { return table_; }  // [ceil(V/t),C]

 private:
  TensorGroup group_;
  std::int64_t first_;                            // token of the table's first row
  std::shared_ptr<Parameter> table_, positions_;  // positions_ is null without any
  nn::Dropout dropout_;
};

}  // namespace lockstep
