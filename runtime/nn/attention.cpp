// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/attention.hpp"

#include "runtime/kernels/attention.hpp"

namespace lockstep::nn {

CausalSelfAttention::CausalSelfAttention(Device& device, const std::string& name,
                                         const AttentionOptions& options, const Init& init)
    : heads_(options.heads),
      qkv_(device, name + ".qkv", options.channels, 3 * options.channels, init),
      out_(device, name + ".out", options.channels, options.channels,
           {init.seed, options.projection_deviation}),
      dropout_(name, init.seed, options.dropout) {}

Tensor CausalSelfAttention::forward(const Tensor& x, Stash& stash) {
  Device& device = x.device();
  const auto shape = kernels::AttentionShape::whole(x.dim(0), x.dim(1), heads_, x.dim(2) / heads_);
  Tensor qkv = qkv_.forward(x, stash);
  Tensor o = Tensor::empty(device, x.shape());
  Tensor log_sums = Tensor::empty(device, {shape.batch, shape.heads, shape.tokens});
  const auto mask = dropout_.mask(stash, shape.heads * shape.tokens * shape.tokens);
  kernels::attention_forward(o, log_sums, qkv, shape, mask, device.compute());
  for (const Tensor& t : {qkv, o, log_sums})
    stash.save(this, t);
  return out_.forward(o, stash);
}

Tensor CausalSelfAttention::backward_input(Tensor dy, Stash& stash) {
  const Tensor d_o = out_.backward_input(std::move(dy), stash);
  const Tensor log_sums = stash.take(this), o = stash.take(this), qkv = stash.take(this);
  const auto shape = kernels::AttentionShape::whole(o.dim(0), o.dim(1), heads_, o.dim(2) / heads_);
  Tensor dqkv = Tensor::empty(qkv.device(), qkv.shape());
  const auto mask = dropout_.mask(stash, shape.heads * shape.tokens * shape.tokens);
  kernels::attention_backward(dqkv, d_o, o, log_sums, qkv, shape, mask, qkv.device().compute());
  return qkv_.backward_input(std::move(dqkv), stash);
}

void CausalSelfAttention::parameters(std::vector<Parameter*>& into) {
  qkv_.parameters(into);
  out_.parameters(into);
}

}  // namespace lockstep::nn
