// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/kernel_runs.hpp"

#include "perfmodels/calibrate/filled.hpp"
#include "runtime/kernels/linear.hpp"

namespace lockstep {

namespace {

// M rows, I inputs, O outputs: what m, n and k are differs from pass to pass (linear.hpp).
struct Linear {
  Tensor x, w, b, y;  // [M,I], [O,I], [O], [M,O]

  Linear(Device& d, std::int64_t M, std::int64_t I, std::int64_t O)
      : x(filled(d, {M, I})), w(filled(d, {O, I})), b(filled(d, {O})), y(filled(d, {M, O})) {}
};
struct LinearGradients {
  Tensor x, y, dw, db;  // [M,I], [M,O], [O,I], [O]

  LinearGradients(Device& d, std::int64_t M, std::int64_t I, std::int64_t O)
      : x(filled(d, {M, I})), y(filled(d, {M, O})), dw(wide(d, {O, I})), db(wide(d, {O})) {}
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
  return [t = LinearGradients(d, k, n, m), &s = d.compute()]() mutable {
    kernels::linear_backward_weight(t.dw, t.db, t.y, t.x, s);
  };
}
// z beside the product, of its size.
Launch linear_gelu_forward(Device& d, std::int64_t m, std::int64_t n, std::int64_t k) {
  return [t = Linear(d, m, k, n), z = filled(d, {m, n}), &s = d.compute()]() mutable {
    kernels::linear_gelu_forward(t.y, z, t.x, t.w, t.b, s);
  };
}
Launch linear_gelu_backward_input(Device& d, std::int64_t m, std::int64_t n, std::int64_t k) {
  return [t = Linear(d, m, n, k), z = filled(d, {m, n}), &s = d.compute()]() mutable {
    kernels::linear_gelu_backward_input(t.x, t.y, t.w, z, s);
  };
}
constexpr ProductKernel kProducts[] = {
    {"linear_forward", linear_forward},
    {"linear_backward_input", linear_backward_input},
    {"linear_backward_weight", linear_backward_weight},
    {"linear_gelu_forward", linear_gelu_forward, true},
    {"linear_gelu_backward_input", linear_gelu_backward_input, true},
};

struct Heads {
  Tensor qkv, dqkv, o, d_o, log_sums;  // [B T,(H+2Hkv)D], [B T,H D], [B,H,T]

  Heads(Device& d, const kernels::AttentionShape& a) {
    const std::int64_t rows = a.batch * a.tokens;
    qkv = filled(d, {rows, a.packed()});
    dqkv = filled(d, {rows, a.packed()});
    o = filled(d, {rows, a.channels()});
    d_o = filled(d, {rows, a.channels()});
    log_sums = wide(d, {a.batch, a.heads, a.tokens}, 1.0f);
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

std::span<const ProductKernel> product_kernels() {
  return kProducts;
}
std::span<const AttentionKernel> attention_kernels() {
  return kAttention;
}

Operation operation_of(const StreamingKernel& kernel, std::int64_t elements, DType values) {
  const auto dry = make_dry_device();
  const Launch launch = kernel.prepare(*dry, elements);
  Recording recording;
  dry->record_into(&recording);
  launch();
  dry->record_into(nullptr);
  const Operation& launched = recording.records().front().operation;
  return recorded_as(launched, {.mixed = values == DType::bfloat16}).front();
}

}  // namespace lockstep
