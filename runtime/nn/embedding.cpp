// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/embedding.hpp"

#include "runtime/kernels/embedding.hpp"

namespace lockstep::nn {

WindowEmbedding::WindowEmbedding(Device& device, const std::string& name, std::int64_t vocabulary,
                                 std::int64_t window, std::int64_t channels, const Init& init)
    : window_(window),
      table_(make_matrix(device, name + ".weight", {vocabulary, channels}, init)) {}

Tensor WindowEmbedding::forward(const Tensor& tokens, Stash& stash) {
  Device& device = tokens.device();
  const std::int64_t channels = table_->value.dim(1);
  Tensor y = Tensor::empty(device, {tokens.count(), window_ * channels}, table_->value.dtype());
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
