// SPDX-License-Identifier: Apache-2.0
// The kernels of Llama against plain double-precision loops and finite differences, at odd sizes.
#include <cmath>

#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/rmsnorm.hpp"
#include "runtime/kernels/rotary.hpp"
#include "runtime/kernels/swiglu.hpp"
#include "tests/support/gradient_check.hpp"

using namespace lockstep;
using kernels::AttentionShape;
using test::random_tensor;

TEST_CASE("rmsnorm equals its formula and passes the gradient check") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  for (const std::int64_t C : {1, 3, 17, 64}) {
    INFO("channels " << C);
    const std::int64_t M = 131;
    Tensor x = random_tensor(*device, {M, C}, 1), gamma = random_tensor(*device, {C}, 2);
    const Tensor weights = random_tensor(*device, {M, C}, 3);
    Tensor y = Tensor::empty(*device, {M, C}), rstd = Tensor::empty(*device, {M});
    const auto loss = [&] {
      kernels::rmsnorm_forward(y, rstd, x, gamma, stream);
      return test::weighted_sum(y, weights);
    };
    loss();
    double worst = 0;
    for (std::int64_t r = 0; r < M; ++r) {
      double squares = 0;
      for (std::int64_t c = 0; c < C; ++c)
        squares += double{x.data()[r * C + c]} * x.data()[r * C + c];
      for (std::int64_t c = 0; c < C; ++c) {
        const double n = x.data()[r * C + c] / std::sqrt(squares / C + 1e-5);
        worst = std::max(worst, std::abs(n * gamma.data()[c] - y.data()[r * C + c]));
      }
    }
    CHECK(worst < 1e-6);

    Tensor dx = Tensor::empty(*device, {M, C}), dgamma = random_tensor(*device, {C}, 4);
    const Tensor saved = test::copy_of(rstd), before = test::copy_of(dgamma);
    kernels::rmsnorm_backward_weight(dgamma, weights, x, saved, stream);
    for (std::int64_t c = 0; c < C; ++c)
      dgamma.data()[c] -= before.data()[c];  // it was added
    test::check_against_differences(dgamma, gamma, "gamma", loss);
    if (C == 1) continue;  // y is the sign of x: a step of the difference may cross 0
    kernels::rmsnorm_backward_input(dx, weights, Tensor(), x, saved, gamma, stream);
    test::check_against_differences(dx, x, "x", loss);
    Tensor with = Tensor::empty(*device, {M, C});
    kernels::rmsnorm_backward_input(with, weights, weights, x, saved, gamma, stream);
    kernels::add(dx, weights, stream);
    CHECK(test::largest_difference(with, dx) < 1e-6);
  }
}

TEST_CASE("rotary embedding turns the pairs of queries and keys, and back") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  for (const AttentionShape& s :
       {AttentionShape{2, 131, 6, 2, 10, 6, 0}, AttentionShape{3, 5, 1, 1, 2, 4, 1}}) {
    const std::int64_t rows = s.batch * s.tokens, W = s.packed(), D = s.head_dim;
    Tensor table = Tensor::empty(*device, {s.tokens + 3, D});
    kernels::rotary_table(table, 10000.0f, stream);
    const Tensor x = random_tensor(*device, {rows, W}, 1);
    Tensor y = test::copy_of(x);
    kernels::rotary_forward(y, table, s, stream);
    double worst = 0;
    for (std::int64_t i = 0; i < rows * W; ++i) {
      const std::int64_t head = i % W / D, channel = i % W % D, pair = channel % (D / 2);
      const double angle =
          static_cast<double>(i / W % s.tokens) * std::pow(10000.0, -2.0 * pair / double(D));
      const bool low = channel < D / 2;
      const double other = low ? -x.data()[i + D / 2] : x.data()[i - D / 2];
      const double turned = x.data()[i] * std::cos(angle) + other * std::sin(angle);
      const double wanted = head < s.heads + s.kv_heads ? turned : x.data()[i];
      worst = std::max(worst, std::abs(wanted - y.data()[i]));
    }
    CHECK(worst < 1e-6);
    // The inverse of a rotation is its transpose: what backward has to apply.
    kernels::rotary_backward(y, table, s, stream);
    CHECK(test::largest_difference(y, x) < 1e-6);
  }
}

TEST_CASE("SwiGLU equals its formula and passes the gradient check") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  for (const auto& [M, F] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {7, 37}, {300, 129}}) {
    INFO(M << " x " << F);
    Tensor x = random_tensor(*device, {M, 2 * F}, 1);
    for (float& v : x.values())
      v *= 4;
    Tensor y = Tensor::empty(*device, {M, F}), dx = Tensor::empty(*device, {M, 2 * F});
    const Tensor weights = random_tensor(*device, {M, F}, 2);
    const auto loss = [&] {
      kernels::swiglu_forward(y, x, stream);
      return test::weighted_sum(y, weights);
    };
    loss();
    double worst = 0;
    for (std::int64_t i = 0; i < M * F; ++i) {
      const double gate = x.data()[i / F * 2 * F + i % F], up = x.data()[i / F * 2 * F + F + i % F];
      worst = std::max(worst, std::abs(gate / (1 + std::exp(-gate)) * up - y.data()[i]));
    }
    CHECK(worst < 5e-6);
    kernels::swiglu_backward(dx, weights, x, stream);
    test::check_against_differences(dx, x, "x", loss);
    Tensor in_place = test::copy_of(x);
    kernels::swiglu_backward(in_place, weights, in_place, stream);
    CHECK(test::largest_difference(in_place, dx) == 0);
  }
}
