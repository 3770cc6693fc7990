// SPDX-License-Identifier: Apache-2.0
// Attention against plain double-precision loops; heads in groups and on several ranks against
// every head by itself on one.
#include "runtime/kernels/attention.hpp"

#include <cmath>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"

using namespace lockstep;
using kernels::AttentionShape;
using test::random_tensor;

namespace {

struct Passes {
  Tensor o, log_sums, dqkv;
};

Passes run(const Tensor& qkv, const Tensor& d_o, const AttentionShape& s,
           const kernels::DropoutMask& mask) {
  Device& device = qkv.device();
  Passes p{Tensor::empty(device, d_o.shape()), Tensor::empty(device, {s.batch, s.heads, s.tokens}),
           Tensor::empty(device, qkv.shape())};
  kernels::attention_forward(p.o, p.log_sums, qkv, s, mask, device.compute());
  kernels::attention_backward(p.dqkv, d_o, p.o, p.log_sums, qkv, s, mask, device.compute());
  return p;
}

// Columns [begin, end) of a matrix.
Tensor columns(const Tensor& x, std::int64_t begin, std::int64_t end) {
  Tensor y = Tensor::empty(x.device(), {x.dim(0), end - begin});
  for (std::int64_t r = 0; r < x.dim(0); ++r) {
    const float* row = x.data() + r * x.dim(1);
    std::copy(row + begin, row + end, y.data() + r * (end - begin));
  }
  return y;
}

Tensor side_by_side(const std::vector<Tensor>& parts) {
  std::int64_t width = 0, at = 0;
  for (const Tensor& p : parts)
    width += p.dim(1);
  Tensor y = Tensor::empty(parts[0].device(), {parts[0].dim(0), width});
  for (const Tensor& p : parts) {
    for (std::int64_t r = 0; r < p.dim(0); ++r)
      std::copy(p.data() + r * p.dim(1), p.data() + (r + 1) * p.dim(1), y.data() + r * width + at);
    at += p.dim(1);
  }
  return y;
}

// q, k and v of the query heads [begin, end), each with a copy of the keys and values that it uses.
Tensor heads_by_themselves(const Tensor& qkv, const AttentionShape& s, std::int64_t begin,
                           std::int64_t end) {
  const std::int64_t D = s.head_dim;
  std::vector<Tensor> parts = {columns(qkv, begin * D, end * D)};
  for (const std::int64_t first : {s.heads, s.heads + s.kv_heads}) {
    for (std::int64_t h = begin; h < end; ++h) {
      const std::int64_t kv = first + h / (s.heads / s.kv_heads);
      parts.push_back(columns(qkv, kv * D, (kv + 1) * D));
    }
  }
  return side_by_side(parts);
}

}  // namespace

TEST_CASE("blocked attention equals softmax(Q K^T) V") {
  const auto device = make_cpu_device();
  for (const std::int64_t T : {1, 5, 63, 64, 65, 200}) {
    INFO("tokens " << T);
    const auto shape = AttentionShape::whole(2, T, 3, 5);
    const std::int64_t C = shape.channels(), D = 5;
    const Tensor qkv = random_tensor(*device, {2 * T, 3 * C}, 4);
    Tensor o = Tensor::empty(*device, {2 * T, C}), sums = Tensor::empty(*device, {2, 3, T});
    kernels::attention_forward(o, sums, qkv, shape, {}, device->compute());
    double worst = 0;
    for (std::int64_t row = 0; row < 2 * T; ++row) {
      for (std::int64_t h = 0; h < 3; ++h) {
        const std::int64_t first = row / T * T;
        std::vector<double> p;
        double total = 0;
        for (std::int64_t key = first; key <= row; ++key) {
          double s = 0;
          for (std::int64_t d = 0; d < D; ++d) {
            s += double{qkv.data()[row * 3 * C + h * D + d]} *
                 qkv.data()[key * 3 * C + C + h * D + d];
          }
          p.push_back(std::exp(s / std::sqrt(double{5})));
          total += p.back();
        }
        for (std::int64_t d = 0; d < D; ++d) {
          double out = 0;
          for (std::size_t j = 0; j < p.size(); ++j) {
            out += p[j] / total * qkv.data()[(first + j) * 3 * C + 2 * C + h * D + d];
          }
          worst = std::max(worst, std::abs(out - o.data()[row * C + h * D + d]));
        }
      }
    }
    CHECK(worst < 2e-6);
  }
}

TEST_CASE("attention survives large scores") {
  const auto device = make_cpu_device();
  const auto shape = AttentionShape::whole(1, 70, 1, 4);
  Tensor qkv = random_tensor(*device, {70, 12}, 5);
  for (float& v : qkv.values())
    v *= 300;
  Tensor o = Tensor::empty(*device, {70, 4}), sums = Tensor::empty(*device, {1, 1, 70});
  kernels::attention_forward(o, sums, qkv, shape, {}, device->compute());
  for (const float v : o.values())
    CHECK(std::abs(v) <= 301.0f);
}

TEST_CASE("query heads that share keys and values equal heads with copies of them") {
  const auto device = make_cpu_device();
  for (const std::int64_t T : {1, 7, 64, 131}) {
    for (const std::int64_t kv_heads : {1, 2, 3, 6}) {
      INFO("tokens " << T << " kv heads " << kv_heads);
      const std::int64_t H = 6, D = 5;
      const AttentionShape grouped{2, T, H, kv_heads, D, H, 0};
      const Tensor qkv = random_tensor(*device, {2 * T, grouped.packed()}, 1);
      const Tensor d_o = random_tensor(*device, {2 * T, H * D}, 2);
      const kernels::DropoutMask mask{.share = 0.2f, .key = 5, .first = 12};
      const Passes got = run(qkv, d_o, grouped, mask);
      const Tensor copies = heads_by_themselves(qkv, grouped, 0, H);
      const Passes wanted = run(copies, d_o, AttentionShape::whole(2, T, H, D), mask);

      CHECK(test::largest_difference(got.o, wanted.o) == 0);
      CHECK(test::largest_difference(got.log_sums, wanted.log_sums) == 0);
      CHECK(test::largest_difference(columns(got.dqkv, 0, H * D), columns(wanted.dqkv, 0, H * D)) ==
            0);
      double worst = 0;  // dK and dV: the sum over the copies
      for (std::int64_t r = 0; r < 2 * T; ++r) {
        for (std::int64_t c = 0; c < 2 * kv_heads * D; ++c) {
          double sum = 0;
          for (std::int64_t h = 0; h < H / kv_heads; ++h) {
            const std::int64_t copy = H + c / D * (H / kv_heads) + h;
            sum += wanted.dqkv.data()[r * 3 * H * D + copy * D + c % D];
          }
          worst =
              std::max(worst, std::abs(sum - got.dqkv.data()[r * grouped.packed() + H * D + c]));
        }
      }
      CHECK(worst < 1e-5);
    }
  }
}

TEST_CASE("heads on several ranks compute and drop what they do on one") {
  const auto device = make_cpu_device();
  const std::int64_t B = 3, T = 70, H = 6, D = 3;
  const kernels::DropoutMask mask{.share = 0.3f, .key = 9, .first = 4 * H * T * T};
  const auto whole = AttentionShape::whole(B, T, H, D);
  const Tensor qkv = random_tensor(*device, {B * T, whole.packed()}, 1);
  const Tensor d_o = random_tensor(*device, {B * T, H * D}, 2);
  const Passes wanted = run(qkv, d_o, whole, mask);
  for (const auto& [begin, end] : {std::pair{0, 2}, {2, 6}, {5, 6}}) {
    INFO("heads " << begin << " to " << end);
    const AttentionShape part{B, T, end - begin, end - begin, D, H, begin};
    const Passes got = run(heads_by_themselves(qkv, whole, begin, end),
                           columns(d_o, begin * D, end * D), part, mask);
    CHECK(test::largest_difference(got.o, columns(wanted.o, begin * D, end * D)) == 0);
    CHECK(test::largest_difference(got.dqkv, heads_by_themselves(wanted.dqkv, whole, begin, end)) ==
          0);
  }
}
