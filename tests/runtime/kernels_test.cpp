// SPDX-License-Identifier: Apache-2.0
// Kernels against plain double-precision loops.
#include <cmath>
#include <vector>

#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/dropout.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/math.hpp"
#include "runtime/kernels/update.hpp"
#include "runtime/tensor/transfer.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"

using namespace lockstep;
using test::random_tensor;

TEST_CASE("the shared formulas agree with the standard library") {
  double worst = 0;
  for (float x = -86.9f; x < 87.9f; x += 0.0173f) {
    worst = std::max(worst, std::abs(kernels::exponential(x) / std::exp(double{x}) - 1));
  }
  CHECK(worst < 2.5e-7);
  for (float x = -12; x < 12; x += 0.0371f) {
    const double u = 0.7978845608028654 * (x + 0.044715 * double{x} * x * x);
    CHECK(kernels::hyperbolic_tangent(x) == Approx(std::tanh(double{x})).margin(3e-7));
    CHECK(kernels::gelu(x) == Approx(0.5 * x * (1 + std::tanh(u))).margin(1e-6));
  }
  CHECK(kernels::exponential(-1000.0f) < 2e-38f);
  CHECK(std::isfinite(kernels::exponential(1000.0f)));
}

TEST_CASE("matrix products of every form equal the triple loop") {
  const auto device = make_cpu_device();
  const std::int64_t m = 5, n = 7, k = 3, pad = 2;  // pad: rows lie further apart than needed
  using kernels::Trans;
  for (const Trans ta : {Trans::no, Trans::yes}) {
    for (const Trans tb : {Trans::no, Trans::yes}) {
      for (const auto into : {kernels::Into::overwrite, kernels::Into::accumulate}) {
        const std::int64_t lda = (ta == Trans::yes ? m : k) + pad;
        const std::int64_t ldb = (tb == Trans::yes ? k : n) + pad;
        const Tensor a = random_tensor(*device, {ta == Trans::yes ? k : m, lda}, 1);
        const Tensor b = random_tensor(*device, {tb == Trans::yes ? n : k, ldb}, 2);
        Tensor c = random_tensor(*device, {m, n + pad}, 3);
        const Tensor before = test::copy_of(c);
        kernels::host_gemm({c.data(), n + pad, into}, {a.data(), lda, ta}, {b.data(), ldb, tb}, m,
                           n, k, 0.5f);
        for (std::int64_t i = 0; i < m; ++i) {
          for (std::int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (std::int64_t l = 0; l < k; ++l) {
              sum += double{a.data()[ta == Trans::yes ? l * lda + i : i * lda + l]} *
                     b.data()[tb == Trans::yes ? j * ldb + l : l * ldb + j];
            }
            const float old = before.data()[i * (n + pad) + j];
            const double base = into == kernels::Into::accumulate ? old : 0.0;
            CHECK(c.data()[i * (n + pad) + j] == Approx(base + 0.5 * sum).margin(1e-5));
          }
          CHECK(c.data()[i * (n + pad) + n] == before.data()[i * (n + pad) + n]);
        }
      }
    }
  }
}

TEST_CASE("a dropout mask belongs to the global element, not to the batch it is in") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  constexpr std::int64_t n = 4099;  // odd: blocks of four Philox words are cut at both ends
  Tensor ones = Tensor::empty(*device, {n}), whole = Tensor::empty(*device, {n});
  kernels::fill(ones, 1.0f, stream);
  kernels::dropout(whole, ones, {.share = 0.3f, .key = 11, .first = 6}, stream);
  for (const std::int64_t begin : {1, 2, 3, 1000}) {
    Tensor part = Tensor::empty(*device, {n - begin});
    kernels::dropout(part, ones.slice(begin, n),
                     {.share = 0.3f, .key = 11, .first = static_cast<std::uint64_t>(6 + begin)},
                     stream);
    CHECK(test::largest_difference(part, whole.slice(begin, n)) == 0);
  }
  std::int64_t kept = 0;
  for (const float v : whole.values()) {
    CHECK((v == 0.0f || v == Approx(1 / 0.7)));
    kept += v != 0.0f;
  }
  CHECK(kept / double{n} == Approx(0.7).margin(0.03));
}

TEST_CASE("initial weights are normal, and the same in every piece") {
  const auto device = make_cpu_device();
  Tensor x = Tensor::empty(*device, {20001});
  kernels::fill_normal(x, 2.0f, 77, device->compute());
  double mean = 0, square = 0;
  for (const float v : x.values()) {
    mean += v / 20001.0;
    square += double{v} * v / 20001.0;
  }
  CHECK(mean == Approx(0).margin(0.05));
  CHECK(square == Approx(4).epsilon(0.03));
  Tensor head = Tensor::empty(*device, {13});
  kernels::fill_normal(head, 2.0f, 77, device->compute());
  CHECK(test::largest_difference(head, x.slice(0, 13)) == 0);
}

TEST_CASE("the norm and the clip factor") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  const std::vector<Tensor> gradients = {random_tensor(*device, {70001}, 1),
                                         random_tensor(*device, {3}, 2)};
  double square = 0;
  for (const Tensor& g : gradients) {
    for (const float v : g.values())
      square += double{v} * v;
  }
  Tensor norm = Tensor::empty(*device, {1}), factor = Tensor::empty(*device, {1});
  Tensor sums = Tensor::empty(*device, {2}, DType::float64);
  kernels::squared_sums(sums, gradients, stream);
  kernels::norm_of(norm, sums, stream);
  CHECK(read_scalar(norm) == Approx(std::sqrt(square)).epsilon(1e-6));
  kernels::clip_factor(factor, norm, 1.0f, stream);
  CHECK(read_scalar(factor) == Approx(1 / std::sqrt(square)).epsilon(1e-5));
  kernels::clip_factor(factor, norm, 1e6f, stream);
  CHECK(read_scalar(factor) == 1.0f);
  kernels::clip_factor(factor, norm, 0.0f, stream);
  CHECK(read_scalar(factor) == 1.0f);
}

TEST_CASE("the updates follow their formulas and leave the gradient zeroed") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  Tensor w = test::tensor_of<float>(*device, {1.0f}, {1});
  Tensor g = test::tensor_of<float>(*device, {0.5f}, {1});
  Tensor m = test::tensor_of<float>(*device, {0.2f}, {1});
  Tensor v = test::tensor_of<float>(*device, {0.3f}, {1});
  const Tensor half = test::tensor_of<float>(*device, {0.5f}, {1});
  SECTION("AdamW") {
    const double m1 = 0.9 * 0.2 + 0.1 * 0.25, v1 = 0.95 * 0.3 + 0.05 * 0.0625;
    const double c1 = 1 - 0.9 * 0.9, c2 = 1 - 0.95 * 0.95;
    const double wanted = 1.0 - 0.01 * 0.1 - 0.01 * (m1 / c1) / (std::sqrt(v1 / c2) + 1e-3);
    kernels::adamw_update(w, g, m, v, half,
                          {.learning_rate = 0.01f,
                           .beta1 = 0.9f,
                           .beta2 = 0.95f,
                           .epsilon = 1e-3f,
                           .weight_decay = 0.1f,
                           .correction1 = static_cast<float>(c1),
                           .correction2 = static_cast<float>(c2)},
                          stream);
    CHECK(read_scalar(w) == Approx(wanted).epsilon(1e-6));
    CHECK(read_scalar(m) == Approx(m1));
    CHECK(read_scalar(v) == Approx(v1));
  }
  SECTION("momentum") {
    kernels::momentum_update(
        w, g, m, half, {.learning_rate = 0.01f, .momentum = 0.9f, .weight_decay = 0.1f}, stream);
    const double velocity = 0.9 * 0.2 + 0.25 + 0.1;
    CHECK(read_scalar(m) == Approx(velocity));
    CHECK(read_scalar(w) == Approx(1 - 0.01 * velocity));
  }
  CHECK(read_scalar(g) == 0.0f);
}

TEST_CASE("a sum over many losses is added in double precision") {
  const auto device = make_cpu_device();
  Tensor x = Tensor::empty(*device, {1000000}), sum = Tensor::empty(*device, {1});
  kernels::fill(x, 0.1f, device->compute());
  kernels::fill(sum, 1.0f, device->compute());
  kernels::add_scaled_sum(sum, x, 1e-5f, device->compute());
  CHECK(read_scalar(sum) == Approx(2.0).epsilon(1e-6));
}
