// SPDX-License-Identifier: Apache-2.0
// Backward against finite differences. The loss is the sum of y times fixed random numbers, in
// double; a fourth-order difference with step 2^-7 then leaves an error near 1e-4 in float32.
#pragma once

#include <cmath>
#include <functional>

#include "runtime/nn/module.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"

namespace lockstep::test {

inline double weighted_sum(const Tensor& y, const Tensor& weights) {
  double sum = 0;
  for (std::int64_t i = 0; i < y.count(); ++i)
    sum += double{y.data()[i]} * weights.data()[i];
  return sum;
}

// d loss / d *x by  (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h
inline double finite_difference(float* x, const std::function<double()>& loss) {
  constexpr float h = 1.0f / 128;
  const float saved = *x;
  const auto at = [&](float offset) {
    *x = saved + offset;
    const double value = loss();
    *x = saved;
    return value;
  };
  return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
}

// Up to `samples` evenly spaced elements of `gradient` against differences in `x`, relative to the
// largest gradient of the tensor.
inline void check_against_differences(const Tensor& gradient, Tensor x, const char* what,
                                      const std::function<double()>& loss, int samples = 40) {
  double largest = 1e-3;
  for (const float g : gradient.values())
    largest = std::max(largest, std::abs(double{g}));
  const std::int64_t stride = std::max<std::int64_t>(1, x.count() / samples);
  for (std::int64_t i = 0; i < x.count(); i += stride) {
    INFO(what << " element " << i);
    const double wanted = finite_difference(x.data() + i, loss);
    CHECK(std::abs(gradient.data()[i] - wanted) <= 2e-3 * largest);
  }
}

// Sample 5 and those behind it, all rows on this rank.
inline MicroBatch micro_batch(std::int64_t samples, std::int64_t tokens) {
  return {.first_sample = 5, .samples = samples, .tokens = tokens, .rows = samples * tokens};
}

// Every parameter of `module`, and its input unless that is tokens. Tokens and dropout masks stay
// as they are.
inline void check_gradients(Module& module, Tensor x, const MicroBatch& batch) {
  const auto parameters = parameters_of(module);
  allocate_gradients(parameters);
  Stash stash(batch);
  const Tensor y = module.forward(x, stash);
  const Tensor weights = random_tensor(y.device(), y.shape(), 99);
  const Tensor dx = module.backward_input(copy_of(weights), stash);
  for (Parameter* p : parameters)
    add_second_use(*p);

  const auto loss = [&] {
    Stash again(batch);
    return weighted_sum(module.forward(x, again), weights);
  };
  if (dx) check_against_differences(dx, x, "input", loss);
  for (const Parameter* p : parameters) {
    check_against_differences(p->grad, p->value, p->name.c_str(), loss);
  }
}
// An input of rows, each a sample of one token.
inline void check_gradients(Module& module, Tensor x) {
  check_gradients(module, x, micro_batch(x.dim(0), 1));
}

}  // namespace lockstep::test
