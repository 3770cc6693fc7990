// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/kernel_runs.hpp"

#include <algorithm>
#include <vector>

#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/dropout.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/embedding.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/layernorm.hpp"
#include "runtime/kernels/linear.hpp"
#include "runtime/kernels/update.hpp"

namespace lockstep {

namespace {

// Lengths of rows where a kernel has rows; the bytes decide, these hardly matter.
constexpr std::int64_t kChannels = 512, kVocabulary = 1024, kTokens = 128, kWindow = 8;

Tensor filled(Device& device, const Shape& shape, float value = 0.01f) {
  Tensor t = Tensor::empty(device, shape);
  kernels::fill(t, value, device.compute());
  return t;
}

// Tokens that are spread over the vocabulary. [rows/T, T], or one row of fewer.
Tensor tokens_of(Device& device, std::int64_t rows, std::int64_t vocabulary) {
  const std::int64_t T = rows % kTokens == 0 ? kTokens : rows;
  std::vector<std::int32_t> values(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(vocabulary));
  Tensor t = Tensor::empty(device, {rows / T, T}, DType::int32);
  kernels::upload(t, values.data(), t.bytes(), device.compute());
  return t;
}

std::int64_t rows_of(std::int64_t elements, std::int64_t length) {
  return std::max<std::int64_t>(elements / length, 1);
}

Launch fill(Device& d, std::int64_t n) {
  return [y = filled(d, {n}), &s = d.compute()]() mutable { kernels::fill(y, 0.01f, s); };
}
Launch copy(Device& d, std::int64_t n) {
  return [y = filled(d, {n}), x = filled(d, {n}), &s = d.compute()]() mutable {
    kernels::copy(y, x, s);
  };
}
Launch add(Device& d, std::int64_t n) {
  return [y = filled(d, {n}), x = filled(d, {n}), &s = d.compute()]() mutable {
    kernels::add(y, x, s);
  };
}
Launch upload(Device& d, std::int64_t n) {
  const std::vector<std::int32_t> host(static_cast<std::size_t>(n), 1);
  return [y = Tensor::empty(d, {n}, DType::int32), host, &s = d.compute()]() mutable {
    kernels::upload(y, host.data(), y.bytes(), s);
  };
}
Launch gelu_forward(Device& d, std::int64_t n) {
  return [y = filled(d, {n}), x = filled(d, {n}), &s = d.compute()]() mutable {
    kernels::gelu_forward(y, x, s);
  };
}
Launch gelu_backward(Device& d, std::int64_t n) {
  return [dx = filled(d, {n}), dy = filled(d, {n}), x = filled(d, {n}),
          &s = d.compute()]() mutable { kernels::gelu_backward(dx, dy, x, s); };
}
constexpr kernels::DropoutMask kSomeDropped{.share = 0.1f, .key = 1};
Launch dropout(Device& d, std::int64_t n) {
  return [y = filled(d, {n}), x = filled(d, {n}), &s = d.compute()]() mutable {
    kernels::dropout(y, x, kSomeDropped, s);
  };
}
// As jobs have it by default: nothing is dropped, and it is an addition.
Launch dropout_add(Device& d, std::int64_t n) {
  return [y = filled(d, {n}), r = filled(d, {n}), x = filled(d, {n}), &s = d.compute()]() mutable {
    kernels::dropout_add(y, r, x, {}, s);
  };
}
Launch cross_entropy(Device& d, std::int64_t n) {
  const std::int64_t rows = rows_of(n, kVocabulary);
  return [losses = filled(d, {rows}), logits = filled(d, {rows, kVocabulary}),
          targets = tokens_of(d, rows, kVocabulary), &s = d.compute()]() mutable {
    kernels::cross_entropy(losses, logits, targets, 1e-3f, s);
  };
}
Launch add_scaled_sum(Device& d, std::int64_t n) {
  return [sum = filled(d, {1}), x = filled(d, {n}), &s = d.compute()]() mutable {
    kernels::add_scaled_sum(sum, x, 1e-3f, s);
  };
}

// Of a layer norm: M rows, C channels.
struct Norm {
  Tensor y, x, dy, residual, gamma, beta;
  kernels::LayerNormStatistics statistics;

  Norm(Device& d, std::int64_t n) {
    const std::int64_t M = rows_of(n, kChannels), C = kChannels;
    for (Tensor* t : {&y, &x, &dy, &residual})
      *t = filled(d, {M, C});
    for (Tensor* t : {&gamma, &beta})
      *t = filled(d, {C}, 1.0f);
    statistics = {filled(d, {M}), filled(d, {M}, 1.0f)};
  }
};
Launch layernorm_forward(Device& d, std::int64_t n) {
  return [t = Norm(d, n), &s = d.compute()]() mutable {
    kernels::layernorm_forward(t.y, t.statistics, t.x, t.gamma, t.beta, s);
  };
}
Launch layernorm_backward_input(Device& d, std::int64_t n) {
  return [t = Norm(d, n), &s = d.compute()]() mutable {
    kernels::layernorm_backward_input(t.y, t.dy, t.residual, t.x, t.statistics, t.gamma, s);
  };
}
Launch layernorm_backward_weight(Device& d, std::int64_t n) {
  return [t = Norm(d, n), &s = d.compute()]() mutable {
    kernels::layernorm_backward_weight(t.gamma, t.beta, t.dy, t.x, t.statistics, s);
  };
}

struct Lookup {
  Tensor y, tokens, table, positions;  // [M,W C], [.,T], [V,C], [T,C]

  Lookup(Device& d, std::int64_t n, std::int64_t window) {
    const std::int64_t M = rows_of(n, window * kChannels);
    y = filled(d, {M, window * kChannels});
    tokens = tokens_of(d, M, kVocabulary);
    table = filled(d, {kVocabulary, kChannels});
    positions = filled(d, {std::max(M, kTokens), kChannels});
  }
};
Launch embedding_forward(Device& d, std::int64_t n) {
  return [t = Lookup(d, n, 1), &s = d.compute()]() mutable {
    kernels::embedding_forward(t.y, t.tokens, t.table, t.positions, s);
  };
}
Launch embedding_backward(Device& d, std::int64_t n) {
  return [t = Lookup(d, n, 1), &s = d.compute()]() mutable {
    kernels::embedding_backward(t.table, t.positions, t.y, t.tokens, s);
  };
}
Launch window_embedding_forward(Device& d, std::int64_t n) {
  return [t = Lookup(d, n, kWindow), &s = d.compute()]() mutable {
    kernels::window_embedding_forward(t.y, t.tokens, t.table, kWindow, s);
  };
}
Launch window_embedding_backward(Device& d, std::int64_t n) {
  return [t = Lookup(d, n, kWindow), &s = d.compute()]() mutable {
    kernels::window_embedding_backward(t.table, t.y, t.tokens, kWindow, s);
  };
}

Launch global_norm(Device& d, std::int64_t n) {
  return [norm = filled(d, {1}), g = std::vector<Tensor>{filled(d, {n})},
          &s = d.compute()]() mutable { kernels::global_norm(norm, g, s); };
}
Launch clip_factor(Device& d, std::int64_t) {
  return [factor = filled(d, {1}), norm = filled(d, {1}), &s = d.compute()]() mutable {
    kernels::clip_factor(factor, norm, 1.0f, s);
  };
}
Launch adamw_update(Device& d, std::int64_t n) {
  const kernels::AdamW with{.learning_rate = 1e-6f,
                            .beta1 = 0.999f,  // the moments never become denormal
                            .beta2 = 0.999f,
                            .epsilon = 1e-8f,
                            .weight_decay = 0.1f,
                            .correction1 = 1,
                            .correction2 = 1};
  return [w = filled(d, {n}), g = filled(d, {n}), m = filled(d, {n}), v = filled(d, {n}),
          factor = filled(d, {1}, 1.0f), with,
          &s = d.compute()]() mutable { kernels::adamw_update(w, g, m, v, factor, with, s); };
}
Launch momentum_update(Device& d, std::int64_t n) {
  const kernels::Momentum with{.learning_rate = 1e-6f, .momentum = 0.999f, .weight_decay = 0.1f};
  return [w = filled(d, {n}), g = filled(d, {n}), u = filled(d, {n}), factor = filled(d, {1}, 1.0f),
          with, &s = d.compute()]() mutable { kernels::momentum_update(w, g, u, factor, with, s); };
}

constexpr StreamingKernel kStreaming[] = {
    {"add", add},
    {"adamw_update", adamw_update, Found::in_memory},
    {"add_scaled_sum", add_scaled_sum},
    {"clip_factor", clip_factor},
    {"copy", copy},
    {"cross_entropy", cross_entropy},
    {"dropout", dropout},
    {"dropout_add", dropout_add, Found::in_memory},
    {"embedding_backward", embedding_backward, Found::in_memory},
    {"embedding_forward", embedding_forward, Found::in_memory},
    {"fill", fill},
    {"gelu_backward", gelu_backward},
    {"gelu_forward", gelu_forward},
    {"global_norm", global_norm, Found::in_memory},
    {"layernorm_backward_input", layernorm_backward_input, Found::in_memory},
    {"layernorm_backward_weight", layernorm_backward_weight},
    {"layernorm_forward", layernorm_forward},
    {"momentum_update", momentum_update, Found::in_memory},
    {"upload", upload},
    {"window_embedding_backward", window_embedding_backward, Found::in_memory},
    {"window_embedding_forward", window_embedding_forward, Found::in_memory},
};

// M rows, I inputs, O outputs: what m, n and k are differs from pass to pass (linear.hpp).
struct Linear {
  Tensor x, w, b, y;  // [M,I], [O,I], [O], [M,O]

  Linear(Device& d, std::int64_t M, std::int64_t I, std::int64_t O)
      : x(filled(d, {M, I})), w(filled(d, {O, I})), b(filled(d, {O})), y(filled(d, {M, O})) {}
};
Launch linear_forward(Device& d, std::int64_t m, std::int64_t n, std::int64_t k) {
  return [t = Linear(d, m, k, n), &s = d.compute()]() mutable {
    kernels::linear_forward(t.y, t.x, t.w, t.b, s);
  };
}
Launch linear_backward_input(Device& d, std::int64_t m, std::int64_t n, std::int64_t k) {
  return [t = Linear(d, m, n, k), &s = d.compute()]() mutable {
    kernels::linear_backward_input(t.x, t.y, t.w, s);
  };
}
Launch linear_backward_weight(Device& d, std::int64_t m, std::int64_t n, std::int64_t k) {
  return [t = Linear(d, k, n, m), &s = d.compute()]() mutable {
    kernels::linear_backward_weight(t.w, t.b, t.y, t.x, s);
  };
}
constexpr ProductKernel kProducts[] = {
    {"linear_forward", linear_forward},
    {"linear_backward_input", linear_backward_input},
    {"linear_backward_weight", linear_backward_weight},
};

struct Heads {
  Tensor qkv, dqkv, o, d_o, log_sums;  // [B T,3C], [B T,C], [B,H,T]

  Heads(Device& d, const kernels::AttentionShape& a) {
    const std::int64_t rows = a.batch * a.tokens;
    qkv = filled(d, {rows, 3 * a.channels});
    dqkv = filled(d, {rows, 3 * a.channels});
    o = filled(d, {rows, a.channels});
    d_o = filled(d, {rows, a.channels});
    log_sums = filled(d, {a.batch, a.heads, a.tokens}, 1.0f);
  }
};
Launch attention(Device& d, const kernels::AttentionShape& shape) {
  return [t = Heads(d, shape), shape, &s = d.compute()]() mutable {
    kernels::attention_forward(t.o, t.log_sums, t.qkv, shape, {}, s);
  };
}
Launch attention_backward(Device& d, const kernels::AttentionShape& shape) {
  return [t = Heads(d, shape), shape, &s = d.compute()]() mutable {
    kernels::attention_backward(t.dqkv, t.d_o, t.o, t.log_sums, t.qkv, shape, {}, s);
  };
}
constexpr AttentionKernel kAttention[] = {
    {"attention_forward", attention},
    {"attention_backward", attention_backward},
};

}  // namespace

std::span<const StreamingKernel> streaming_kernels() {
  return kStreaming;
}
std::span<const ProductKernel> product_kernels() {
  return kProducts;
}
std::span<const AttentionKernel> attention_kernels() {
  return kAttention;
}

Operation operation_of(const StreamingKernel& kernel, std::int64_t elements) {
  const auto dry = make_dry_device();
  const Launch launch = kernel.prepare(*dry, elements);
  Recording recording;
  dry->record_into(&recording);
  launch();
  dry->record_into(nullptr);
  return recording.records().front().operation;
}

}  // namespace lockstep
