// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "perfmodels/calibrate/filled.hpp"
#include "perfmodels/calibrate/kernel_runs.hpp"
#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/dropout.hpp"
#include "runtime/kernels/embedding.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/layernorm.hpp"
#include "runtime/kernels/rmsnorm.hpp"
#include "runtime/kernels/rotary.hpp"
#include "runtime/kernels/swiglu.hpp"
#include "runtime/kernels/update.hpp"

namespace lockstep {

namespace {

// Lengths of rows where a kernel has rows; the bytes decide, these hardly matter.
constexpr std::int64_t kChannels = 512, kVocabulary = 1024, kTokens = 128, kWindow = 8;

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
  return [y = wide(d, {n}), &s = d.compute()]() mutable { kernels::fill(y, 0.01f, s); };
}
Launch copy(Device& d, std::int64_t n) {
  return [y = filled(d, {n}), x = filled(d, {n}), &s = d.compute()]() mutable {
    kernels::copy(y, x, s);
  };
}
Launch add(Device& d, std::int64_t n) {
  return
      [y = wide(d, {n}), x = wide(d, {n}), &s = d.compute()]() mutable { kernels::add(y, x, s); };
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
// Of a range of the vocabulary, all of it valid.
struct Logits {
  Tensor losses, logits, targets, stats, sums, global_max;  // [M], [M,V], [M], [3,M], [2,M], [M]
  kernels::VocabularyRange range{0, kVocabulary};

  Logits(Device& d, std::int64_t M, std::int64_t columns)
      : losses(wide(d, {M})),
        logits(filled(d, {M, columns})),
        targets(tokens_of(d, M, kVocabulary)),
        stats(wide(d, {3, M})),
        sums(wide(d, {2, M}, kVocabulary)),
        global_max(wide(d, {M})) {}
};
Launch cross_entropy(Device& d, std::int64_t n) {
  return [t = Logits(d, rows_of(n, kVocabulary), kVocabulary), &s = d.compute()]() mutable {
    kernels::cross_entropy(t.losses, t.logits, t.targets, 1e-3f, s);
  };
}
Launch cross_entropy_statistics(Device& d, std::int64_t n) {
  return [t = Logits(d, rows_of(n, kVocabulary), kVocabulary), &s = d.compute()]() mutable {
    kernels::cross_entropy_statistics(t.stats, t.logits, t.targets, t.range, s);
  };
}
Launch cross_entropy_rescale(Device& d, std::int64_t n) {
  return [t = Logits(d, n, 1), &s = d.compute()]() mutable {
    kernels::cross_entropy_rescale(t.sums, t.stats, t.global_max, s);
  };
}
Launch cross_entropy_gradient(Device& d, std::int64_t n) {
  return [t = Logits(d, rows_of(n, kVocabulary), kVocabulary), &s = d.compute()]() mutable {
    kernels::cross_entropy_gradient(t.losses, t.logits, t.targets, t.global_max, t.sums, t.range,
                                    1e-3f, s);
  };
}
Launch add_scaled_sum(Device& d, std::int64_t n) {
  return [sum = wide(d, {1}), x = wide(d, {n}), &s = d.compute()]() mutable {
    kernels::add_scaled_sum(sum, x, 1e-3f, s);
  };
}

// Of a layer norm: M rows, C channels.
struct Norm {
  Tensor y, x, dy, residual, gamma, beta, dgamma, dbeta;
  kernels::LayerNormStatistics statistics;

  Norm(Device& d, std::int64_t n) {
    const std::int64_t M = rows_of(n, kChannels), C = kChannels;
    for (Tensor* t : {&y, &x, &dy, &residual})
      *t = filled(d, {M, C});
    for (Tensor* t : {&gamma, &beta})
      *t = filled(d, {C}, 1.0f);
    for (Tensor* t : {&dgamma, &dbeta})
      *t = wide(d, {C}, 1.0f);
    statistics = {wide(d, {M}), wide(d, {M}, 1.0f)};
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
    kernels::layernorm_backward_weight(t.dgamma, t.dbeta, t.dy, t.x, t.statistics, s);
  };
}

Launch rmsnorm_forward(Device& d, std::int64_t n) {
  return [t = Norm(d, n), &s = d.compute()]() mutable {
    kernels::rmsnorm_forward(t.y, t.statistics.rstd, t.x, t.gamma, s);
  };
}
Launch rmsnorm_backward_input(Device& d, std::int64_t n) {
  return [t = Norm(d, n), &s = d.compute()]() mutable {
    kernels::rmsnorm_backward_input(t.y, t.dy, t.residual, t.x, t.statistics.rstd, t.gamma, s);
  };
}
Launch rmsnorm_backward_weight(Device& d, std::int64_t n) {
  return [t = Norm(d, n), &s = d.compute()]() mutable {
    kernels::rmsnorm_backward_weight(t.dgamma, t.dy, t.x, t.statistics.rstd, s);
  };
}

// The queries and keys of 4 heads, n elements in all.
struct Rotation {
  kernels::AttentionShape shape;
  Tensor qkv, table;  // [B T,3C], [T,D]

  Rotation(Device& d, std::int64_t n) {
    const std::int64_t rows = rows_of(n, 2 * kChannels), T = std::min(rows, kTokens);
    shape = kernels::AttentionShape::whole(rows / T, T, 4, kChannels / 4);
    qkv = filled(d, {rows / T * T, shape.packed()});
    table = wide(d, {T, shape.head_dim});
    kernels::rotary_table(table, 10000.0f, d.compute());
  }
};
Launch rotary_forward(Device& d, std::int64_t n) {
  return [t = Rotation(d, n), &s = d.compute()]() mutable {
    kernels::rotary_forward(t.qkv, t.table, t.shape, s);
  };
}
Launch rotary_backward(Device& d, std::int64_t n) {
  return [t = Rotation(d, n), &s = d.compute()]() mutable {
    kernels::rotary_backward(t.qkv, t.table, t.shape, s);
  };
}
Launch swiglu_forward(Device& d, std::int64_t n) {
  const std::int64_t M = rows_of(n, 2 * kChannels);
  return [y = filled(d, {M, kChannels}), x = filled(d, {M, 2 * kChannels}),
          &s = d.compute()]() mutable { kernels::swiglu_forward(y, x, s); };
}
Launch swiglu_backward(Device& d, std::int64_t n) {
  const std::int64_t M = rows_of(n, 2 * kChannels);
  return [dx = filled(d, {M, 2 * kChannels}), dy = filled(d, {M, kChannels}),
          x = filled(d, {M, 2 * kChannels}),
          &s = d.compute()]() mutable { kernels::swiglu_backward(dx, dy, x, s); };
}

struct Lookup {
  Tensor y, tokens, table, positions;  // [M,W C], [.,T], [V,C], [T,C]
  Tensor dtable, dpositions;

  Lookup(Device& d, std::int64_t n, std::int64_t window) {
    const std::int64_t M = rows_of(n, window * kChannels);
    y = filled(d, {M, window * kChannels});
    tokens = tokens_of(d, M, kVocabulary);
    table = filled(d, {kVocabulary, kChannels});
    positions = filled(d, {std::max(M, kTokens), kChannels});
    dtable = wide(d, table.shape());
    dpositions = wide(d, positions.shape());
  }
};
Launch embedding_forward(Device& d, std::int64_t n) {
  return [t = Lookup(d, n, 1), &s = d.compute()]() mutable {
    kernels::embedding_forward(t.y, t.tokens, t.table, t.positions, 0, s);
  };
}
Launch embedding_backward(Device& d, std::int64_t n) {
  return [t = Lookup(d, n, 1), &s = d.compute()]() mutable {
    kernels::embedding_backward(t.dtable, t.dpositions, t.y, t.tokens, 0, s);
  };
}
Launch window_embedding_forward(Device& d, std::int64_t n) {
  return [t = Lookup(d, n, kWindow), &s = d.compute()]() mutable {
    kernels::window_embedding_forward(t.y, t.tokens, t.table, kWindow, s);
  };
}
Launch window_embedding_backward(Device& d, std::int64_t n) {
  return [t = Lookup(d, n, kWindow), &s = d.compute()]() mutable {
    kernels::window_embedding_backward(t.dtable, t.y, t.tokens, kWindow, s);
  };
}

Launch squared_sums(Device& d, std::int64_t n) {
  return [sums = Tensor::empty(d, {1}, DType::float64), g = std::vector<Tensor>{wide(d, {n})},
          &s = d.compute()]() mutable { kernels::squared_sums(sums, g, s); };
}
Launch norm_of(Device& d, std::int64_t) {
  Tensor sums = Tensor::empty(d, {1}, DType::float64);
  kernels::squared_sums(sums, {wide(d, {1})}, d.compute());
  return
      [norm = wide(d, {1}), sums, &s = d.compute()]() mutable { kernels::norm_of(norm, sums, s); };
}
Launch clip_factor(Device& d, std::int64_t) {
  return [factor = wide(d, {1}), norm = wide(d, {1}), &s = d.compute()]() mutable {
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
  return [w = wide(d, {n}), g = wide(d, {n}), m = wide(d, {n}), v = wide(d, {n}),
          factor = wide(d, {1}, 1.0f), with,
          &s = d.compute()]() mutable { kernels::adamw_update(w, g, m, v, factor, with, s); };
}
Launch momentum_update(Device& d, std::int64_t n) {
  const kernels::Momentum with{.learning_rate = 1e-6f, .momentum = 0.999f, .weight_decay = 0.1f};
  return [w = wide(d, {n}), g = wide(d, {n}), u = wide(d, {n}), factor = wide(d, {1}, 1.0f), with,
          &s = d.compute()]() mutable { kernels::momentum_update(w, g, u, factor, with, s); };
}

constexpr StreamingKernel kStreaming[] = {
    {"adamw_update", adamw_update, Found::in_memory},
    {"add", add},
    {"add_scaled_sum", add_scaled_sum},
    {"clip_factor", clip_factor},
    {"copy", copy},
    {"cross_entropy", cross_entropy},
    {"cross_entropy_gradient", cross_entropy_gradient},
    {"cross_entropy_rescale", cross_entropy_rescale, Found::cached, 1 << 24},  // rows
    {"cross_entropy_statistics", cross_entropy_statistics},
    {"dropout", dropout},
    {"dropout_add", dropout_add, Found::in_memory},
    {"embedding_backward", embedding_backward, Found::in_memory},
    {"embedding_forward", embedding_forward, Found::in_memory},
    {"fill", fill},
    {"gelu_backward", gelu_backward},
    {"gelu_forward", gelu_forward},
    {"layernorm_backward_input", layernorm_backward_input, Found::in_memory},
    {"layernorm_backward_weight", layernorm_backward_weight},
    {"layernorm_forward", layernorm_forward},
    {"momentum_update", momentum_update, Found::in_memory},
    {"norm_of", norm_of},
    {"rmsnorm_backward_input", rmsnorm_backward_input, Found::in_memory},
    {"rmsnorm_backward_weight", rmsnorm_backward_weight},
    {"rmsnorm_forward", rmsnorm_forward},
    {"rotary_backward", rotary_backward},
    {"rotary_forward", rotary_forward},
    {"squared_sums", squared_sums, Found::in_memory},
    {"swiglu_backward", swiglu_backward},
    {"swiglu_forward", swiglu_forward},
    {"upload", upload, Found::cached, 1 << 24},  // tokens
    {"window_embedding_backward", window_embedding_backward, Found::in_memory},
    {"window_embedding_forward", window_embedding_forward, Found::in_memory},
};

}  // namespace

std::span<const StreamingKernel> streaming_kernels() {
  return kStreaming;
}

}  // namespace lockstep
