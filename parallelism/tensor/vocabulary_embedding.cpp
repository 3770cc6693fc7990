// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/vocabulary_embedding.hpp"

#include "parallelism/tensor/vocabulary_head.hpp"
#include "runtime/kernels/embedding.hpp"

namespace lockstep {

VocabularyEmbedding::VocabularyEmbedding(Device& device, const TensorGroup& group,
                                         const std::string& name, const EmbeddingOptions& o,
                                         const Init& init)
    : group_(group),
      first_(group.rank() * padded_rows(o.vocabulary, group)),
      table_(make_vocabulary_matrix(device, group, name + ".token.weight", o.vocabulary, o.channels,
                                    init)),
      positions_(o.positions ? make_matrix(device, name + ".position.weight",
                                           {o.positions, o.channels}, init)
                             : nullptr),
      dropout_(name, init.seed, o.dropout) {}

Tensor VocabularyEmbedding::forward(const Tensor& tokens, Stash& stash) {
  Device& device = tokens.device();
  Tensor lookups =
      Tensor::empty(device, {tokens.count(), table_->value.dim(1)}, table_->value.dtype());
  const bool adds_positions = positions_ && group_.rank() == 0;
  kernels::embedding_forward(lookups, tokens, table_->value,
                             adds_positions ? positions_->value : Tensor(), first_,
                             device.compute());
  Tensor y = group_.reduce(std::move(lookups)).wait();
  dropout_.apply(y, stash);
  stash.save(this, tokens);
  return y;
}

Tensor VocabularyEmbedding::backward_input(Tensor dy, Stash& stash) {
  dy = dropout_.backward(dy, stash);
  stash.save(this, group_.gathered(dy, stash.batch().all_rows()));
  dy = Tensor();  // the stash alone decides how long it lives
  stash.owe(*this);
  return {};
}

void VocabularyEmbedding::backward_weight(Stash& stash) {
  const Tensor dy = stash.take(this), tokens = stash.take(this);
  Tensor none;
  kernels::embedding_backward(table_->grad, positions_ ? positions_->grad : none, dy, tokens,
                              first_, dy.device().compute());
  if (positions_) stash.ready(*positions_);
  stash.ready(*table_);
}

void VocabularyEmbedding::parameters(std::vector<Parameter*>& into) {
  into.push_back(table_.get());
  if (positions_) into.push_back(positions_.get());
}

}  // namespace lockstep
