// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/dry_policy.hpp"

#include <algorithm>
#include <span>
#include <string_view>

namespace lockstep {

namespace {

constexpr double kHalf = 2;  // bytes of an element of 16 bits

// Kernels that work on gradients, those of compression among them.
constexpr std::string_view kOfGradients[] = {
    "squared_sums", "norm_of",      "clip_factor", "compress",     "sum_compressed",  "decompress",
    "select",       "add_selected", "project",     "project_back", "multiply_factors"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Or on optimizer states: the kernel of an optimizer is called NAME_update.
bool is_of_update(std::string_view name) {
  return name.ends_with("_update") || is_one_of(name, kOfGradients);
}

// Kernels that state the type and the bytes of the tensors that they are given: of this program
// those of 32 bits are of gradients.
constexpr std::string_view kAsGiven[] = {"fill", "add", "copy"};

// This program has tensors of 16 bits: memory and messages are what they are.
bool is_ours(const DryPolicy& policy) {
  return !policy.separate;
}

// Sums of gradients and of a few numbers stay as they are.
bool stays_wide(const Operation& o, const DryPolicy& policy) {
  const std::string_view name = o.name;
  const bool collective = o.kind == OperationKind::collective;
  if (is_ours(policy) && (collective || is_one_of(name, kAsGiven))) return true;
  if (!collective) return is_of_update(name);
  const std::string_view group = o.group ? std::string_view(o.group->name) : "";
  if (group == "world" || group == "tied") return true;
  return group == "data" && (name == "all_reduce" || name == "reduce_scatter");
}

Operation narrowed(Operation o, const DryPolicy& policy) {
  if (o.dtype != DType::float32 || stays_wide(o, policy)) return o;
  o.dtype = DType::bfloat16;
  o.bytes_read /= 2;
  o.bytes_written /= 2;
  return o;
}

// B H products of m x n x k.
Operation product(const char* name, const Operation& of, std::int64_t m, std::int64_t n,
                  std::int64_t k) {
  const std::int64_t batch = of.shape[0] * of.shape[2];
  const auto times = static_cast<double>(batch);
  const auto dm = static_cast<double>(m), dn = static_cast<double>(n), dk = static_cast<double>(k);
  return {.name = name,
          .kind = OperationKind::gemm,
          .shape = {m, n, k, batch},
          .flops = 2 * times * dm * dn * dk,
          .bytes_read = kHalf * times * (dm * dk + dk * dn),
          .bytes_written = kHalf * times * dm * dn,
          .dtype = of.dtype};
}

Operation pass(const char* name, const Operation& of, std::int64_t count, double bytes_read,
               double bytes_written) {
  const auto n = static_cast<double>(count);
  return {.name = name,
          .kind = OperationKind::streaming,
          .shape = {count},
          .bytes_read = bytes_read * n,
          .bytes_written = bytes_written * n,
          .dtype = of.dtype};
}

// Dropout keeps a mask of one byte.   S = B H T T scores, C = B T H D channels of the context
std::vector<Operation> unfused(const Operation& o) {
  const auto [B, T, H, D] = o.shape;
  const std::int64_t S = B * H * T * T, C = B * T * H * D;
  if (std::string_view(o.name) == "attention_forward") {
    return {product("attention_scores", o, T, T, D), pass("attention_softmax", o, S, kHalf, kHalf),
            pass("attention_dropout", o, S, kHalf, kHalf + 1),
            product("attention_values", o, T, D, T), pass("attention_copy", o, C, kHalf, kHalf)};
  }
  return {pass("attention_copy", o, C, kHalf, kHalf),
          product("attention_values_gradient", o, T, D, T),
          product("attention_weights_gradient", o, T, T, D),
          pass("attention_dropout_gradient", o, S, kHalf + 1, kHalf),
          pass("attention_softmax_gradient", o, S, 2 * kHalf, kHalf),
          product("attention_queries_gradient", o, T, D, T),
          product("attention_keys_gradient", o, T, D, T),
          pass("attention_inputs_gradient", o, 3 * C, kHalf, kHalf)};
}

// Logits n: to float32 (6 bytes), maximum, difference, exponential, sum; then quotient, times the
// gradient of the loss, and to 16 bits.
Operation entropy_pass(Operation o, double read, double written) {
  const double elements = std::max(o.bytes_read, o.bytes_written) / kHalf;
  o.bytes_read = read * elements;
  o.bytes_written = written * elements;
  return o;
}

// The gradient of a normalization's input is written, and added to the residual's by another pass.
std::vector<Operation> sum_of_gradients(const Operation& o) {
  const auto n = static_cast<std::int64_t>(o.bytes_written / kHalf);
  const bool adds = o.bytes_read > 2 * o.bytes_written;
  if (!adds) return {o};
  return {o, pass("residual_gradient", o, n, kHalf, kHalf)};
}

// Gradients n: unscaled and checked, clipped, used, and the values copied to 16 bits.
std::vector<Operation> update_passes(const Operation& o) {
  const std::int64_t n = o.shape[0];
  return {pass("unscaled_gradients", o, n, 4, 4), pass("clipped_gradients", o, n, 4, 4), o,
          pass("narrowed_values", o, n, 4, kHalf)};
}

std::vector<Operation> separated(const Operation& o) {
  const std::string_view name = o.name;
  if (o.kind == OperationKind::attention) return unfused(o);
  if (name == "linear_backward_weight") {
    const auto [m, n, k, times] = o.shape;
    return {o, pass("gradient_accumulation", o, m * n, kHalf + 4, 4),
            pass("bias_gradient", o, m * k, kHalf, 0)};
  }
  if (name == "layernorm_backward_input") return sum_of_gradients(o);
  if (name == "adamw_update") return update_passes(o);
  if (name == "cross_entropy_statistics") return {entropy_pass(o, 2 + 4 + 4 + 4 + 4, 4 + 4 + 4)};
  if (name == "cross_entropy_gradient") return {entropy_pass(o, 4 + 4 + 4, 4 + 4 + 2)};
  if (name == "cross_entropy") return {entropy_pass(o, 18 + 12, 12 + 10)};
  return {o};
}

}  // namespace

std::vector<Operation> recorded_as(const Operation& operation, const DryPolicy& policy) {
  const Operation o = policy.mixed ? narrowed(operation, policy) : operation;
  return policy.separate ? separated(o) : std::vector{o};
}

// V. Korthikanti et al., 2022, section 4: softmax 2 bytes; with dropout its mask 1 and result 2.
KeptBesides kept_besides(const DryPolicy& policy) {
  if (!policy.separate) return {};
  const double mask = policy.drops ? 1 / kHalf : 0;
  return {.of_score = policy.drops ? 2 + mask : 1, .of_context = 1, .of_dropped = mask};
}

std::array<double, 5> held_per_byte(const DryPolicy& policy) {
  if (!policy.mixed || is_ours(policy)) return {1, 1, 1, 1, 1};
  const double states = std::max(policy.optimizer_states, 1);
  return {0.5, 1, (states + 1) / states, 0.5, 0.5};
}

}  // namespace lockstep
