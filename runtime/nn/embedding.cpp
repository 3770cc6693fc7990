// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/embedding.hpp"

#include "runtime/kernels/embedding.hpp"

namespace lockstep::nn {

Embedding::Embedding(Device& device, const std::string& name, std::int64_t vocabulary,
                     std::int64_t positions, std::int64_t channels, float dropout, const Init& init)
    : token_(make_matrix(device, name + ".token.weight", {vocabulary, channels}, init)),
      position_(make_matrix(device, name + ".position.weight", {positions, channels}, init)),
      dropout_(name, init.seed, dropout) {}

Tensor Embedding::forward(const Tensor& tokens, Stash& stash) {
  Device& device = tokens.device();
  Tensor y = Tensor::empty(device, {tokens.dim(0), tokens.dim(1), token_->value.dim(1)});
  kernels::embedding_forward(y, tokens, token_->value, position_->value, 0, device.compute());
  dropout_.apply(y, stash);
  stash.save(this, tokens);
  return y;
}

Tensor Embedding::backward_input(Tensor dy, Stash& stash) {
  stash.save(this, dropout_.backward(dy, stash));
  dy = Tensor();
  stash.owe(*this);
  return {};
}

void Embedding::backward_weight(Stash& stash) {
  const Tensor dy = stash.take(this), tokens = stash.take(this);
  kernels::embedding_backward(token_->grad, position_->grad, dy, tokens, 0, dy.device().compute());
  stash.ready(*position_);
  stash.ready(*token_);
}

void Embedding::parameters(std::vector<Parameter*>& into) {
  into.push_back(token_.get());
  into.push_back(position_.get());
}

WindowEmbedding::WindowEmbedding(Device& device, const std::string& name, std::int64_t vocabulary,
                                 std::int64_t window, std::int64_t channels, const Init& init)
    : window_(window),
      table_(make_matrix(device, name + ".weight", {vocabulary, channels}, init)) {}

Tensor WindowEmbedding::forward(const Tensor& tokens, Stash& stash) {
  Device& device = tokens.device();
  const std::int64_t channels = table_->value.dim(1);
  Tensor y = Tensor::empty(device, {tokens.dim(0), tokens.dim(1), window_ * channels});
  kernels::window_embedding_forward(y, tokens, table_->value, window_, device.compute());
  stash.save(this, tokens);
  return y;
}

Tensor WindowEmbedding::backward_input(Tensor dy, Stash& stash) {
  stash.save(this, std::move(dy));
  stash.owe(*this);
  return {};
}

void WindowEmbedding::backward_weight(Stash& stash) {
  const Tensor dy = stash.take(this), tokens = stash.take(this);
  kernels::window_embedding_backward(table_->grad, dy, tokens, window_, dy.device().compute());
  stash.ready(*table_);
}

void WindowEmbedding::parameters(std::vector<Parameter*>& into) {
  into.push_back(table_.get());
}

}  // namespace lockstep::nn
