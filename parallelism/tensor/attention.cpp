// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/attention.hpp"

#include "runtime/kernels/rotary.hpp"

namespace lockstep {

namespace {

std::vector<std::int64_t> stretches_of(const AttentionOptions& o) {
  const std::int64_t head_dim = o.channels / o.heads;
  return {o.heads * head_dim, o.kv_heads * head_dim, o.kv_heads * head_dim};
}

}  // namespace

TensorAttention::TensorAttention(Device& device, const TensorGroup& group, const std::string& name,
                                 const AttentionOptions& options, const Init& init)
    : group_(group),
      options_(options),
      qkv_(device, group, name + ".qkv", options.channels, stretches_of(options), init,
           options.bias),
      out_(device, group, name + ".out", options.channels, options.channels,
           {init.seed, options.projection_deviation}, options.bias),
      dropout_(name, init.seed, options.dropout) {}

Tensor TensorAttention::forward_onto(const Tensor& residual, const Tensor& x, Stash& stash) {
  Tensor qkv = qkv_.forward(x, stash);
  if (options_.rotary) {
    kernels::rotary_forward(qkv, options_.rotary, shape_of(stash.batch()), x.device().compute());
  }
  stash.save(this, qkv);
  const Core core = heads_of(qkv, stash);
  stash.save(this, kept_besides_of(core, stash));
  if (options_.recompute == Recompute::selective) {
    const Forgetful forgetful(stash);
    return out_.forward_onto(residual, core.o, stash);
  }
  stash.save(this, core.o);
  stash.save(this, core.log_sums);
  return out_.forward_onto(residual, core.o, stash);
}

Tensor TensorAttention::backward_input(Tensor dy, Stash& stash) {
  Core core;
  if (options_.recompute != Recompute::selective) {
    core.log_sums = stash.take(this);
    core.o = stash.take(this);
  }
  const Tensor kept = stash.take(this);
  const Tensor qkv = stash.take(this);
  if (options_.recompute == Recompute::selective) {
    const PhaseSpan span(qkv.device().compute(), "recompute");
    core = heads_of(qkv, stash);
    out_.give_back(core.o, stash);
  }
  const Tensor d_o = out_.backward_input(std::move(dy), stash);
  Tensor dqkv = Tensor::empty(qkv.device(), qkv.shape(), qkv.dtype());
  const kernels::AttentionShape shape = shape_of(stash.batch());
  Stream& compute = qkv.device().compute();
  kernels::attention_backward(dqkv, d_o, core.o, core.log_sums, qkv, shape, mask_of(stash),
                              compute);
  if (options_.rotary) kernels::rotary_backward(dqkv, options_.rotary, shape, compute);
  return qkv_.backward_input(std::move(dqkv), stash);
}

TensorAttention::Core TensorAttention::heads_of(const Tensor& qkv, const Stash& stash) const {
  const kernels::AttentionShape shape = shape_of(stash.batch());
  Device& device = qkv.device();
  Core core{Tensor::empty(device, {qkv.dim(0), shape.channels()}, qkv.dtype()),
            Tensor::empty(device, {shape.batch, shape.heads, shape.tokens})};
  kernels::attention_forward(core.o, core.log_sums, qkv, shape, mask_of(stash), device.compute());
  return core;
}

Tensor TensorAttention::kept_besides_of(const Core& core, const Stash& stash) const {
  Device& device = core.o.device();
  const KeptBesides per = kept_besides(device.policy());
  const kernels::AttentionShape shape = shape_of(stash.batch());
  const auto scores = static_cast<double>(shape.batch * shape.heads * shape.tokens * shape.tokens);
  const bool again = options_.recompute == Recompute::selective;
  return kept_besides(
      device, again ? per.of_context * static_cast<double>(core.o.count()) : per.of_score * scores);
}

kernels::AttentionShape TensorAttention::shape_of(const MicroBatch& batch) const {
  const Range heads = group_.block_of(options_.heads);
  return {.batch = batch.samples,
          .tokens = batch.tokens,
          .heads = heads.count(),
          .kv_heads = group_.block_of(options_.kv_heads).count(),
          .head_dim = options_.channels / options_.heads,
          .mask_heads = options_.heads,
          .first_head = heads.begin};
}

kernels::DropoutMask TensorAttention::mask_of(const Stash& stash) const {
  return dropout_.mask(stash, options_.heads * stash.batch().tokens * stash.batch().tokens);
}

void TensorAttention::parameters(std::vector<Parameter*>& into) {
  qkv_.parameters(into);
  out_.parameters(into);
}

}  // namespace lockstep
