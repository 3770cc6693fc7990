// SPDX-License-Identifier: Apache-2.0
// Every layer's backward against finite differences, at odd sizes and with dropout.
#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/linear.hpp"
#include "runtime/nn/embedding.hpp"
#include "runtime/nn/gelu.hpp"
#include "runtime/nn/layernorm.hpp"
#include "runtime/nn/linear.hpp"
#include "tests/support/gradient_check.hpp"

using namespace lockstep;
using test::random_tensor;

namespace {

constexpr Init kInit{.seed = 3, .deviation = 0.4f};

// norm(x) + x, by the backward that takes the residual path along.
class NormWithResidual : public Module {
 public:
  NormWithResidual(Device& device, std::int64_t channels) : norm_(device, "norm", channels) {}
  Tensor forward(const Tensor& x, Stash& stash) override {
    Tensor y = norm_.forward(x, stash);
    kernels::add(y, x, x.device().compute());
    return y;
  }
  Tensor backward_input(Tensor dy, Stash& stash) override {
    return norm_.backward_input(dy, dy, stash);
  }
  void parameters(std::vector<Parameter*>& into) override { norm_.parameters(into); }

 private:
  nn::LayerNorm norm_;
};

}  // namespace

TEST_CASE("linear layers pass the gradient check") {
  const auto device = make_cpu_device();
  for (const nn::Bias bias : {nn::Bias::none, nn::Bias::zero}) {
    nn::Linear layer(*device, "linear", 7, 5, kInit, bias);
    test::check_gradients(layer, random_tensor(*device, {6, 7}, 1));
    nn::Linear column(*device, "column", 1, 1, kInit, bias);
    test::check_gradients(column, random_tensor(*device, {1, 1}, 1));
  }
}

TEST_CASE("a product adds a residual behind its bias, to the bit") {
  const auto device = make_cpu_device();
  for (const std::int64_t rows : {1, 6, 700}) {  // one thread, several
    const Tensor x = random_tensor(*device, {rows, 7}, 1), w = random_tensor(*device, {51, 7}, 2);
    const Tensor r = random_tensor(*device, {rows, 51}, 3), bias = random_tensor(*device, {51}, 4);
    for (const Tensor& b : {Tensor(), bias}) {
      Tensor y = Tensor::empty(*device, r.shape()), wanted = Tensor::empty(*device, r.shape());
      kernels::linear_forward(y, x, w, b, r, device->compute());
      kernels::linear_forward(wanted, x, w, b, device->compute());
      kernels::add(wanted, r, device->compute());
      CHECK(test::largest_difference(y, wanted) == 0);
    }
  }
}

TEST_CASE("layernorm passes the gradient check, with and without a residual") {
  const auto device = make_cpu_device();
  for (const std::int64_t channels : {3, 17, 64}) {
    nn::LayerNorm plain(*device, "norm", channels);
    test::check_gradients(plain, random_tensor(*device, {10, channels}, 2));
    NormWithResidual with(*device, channels);
    test::check_gradients(with, random_tensor(*device, {10, channels}, 3));
  }
}

TEST_CASE("GELU passes the gradient check") {
  const auto device = make_cpu_device();
  nn::Gelu layer;
  Tensor x = random_tensor(*device, {3, 37}, 4);
  for (float& v : x.values())
    v *= 4;
  test::check_gradients(layer, x);
}

TEST_CASE("embeddings of windows pass the gradient check") {
  const auto device = make_cpu_device();
  const Tensor tokens = test::random_tokens(*device, {3, 5}, 7, 6);  // tokens repeat
  nn::WindowEmbedding window(*device, "window", 7, 3, 4, kInit);
  test::check_gradients(window, tokens, test::micro_batch(3, 5));
}

TEST_CASE("cross entropy's gradient is that of its loss, at odd vocabularies") {
  const auto device = make_cpu_device();
  Stream& stream = device->compute();
  for (const int vocabulary : {1, 2, 7, 37, 257}) {
    INFO("vocabulary " << vocabulary);
    const std::int64_t rows = 5;
    Tensor logits = random_tensor(*device, {rows, vocabulary}, 7);
    for (float& v : logits.values())
      v *= 5;
    const Tensor targets = test::random_tokens(*device, {rows}, vocabulary, 8);
    const auto losses_of = [&](Tensor& work, float scale) {
      Tensor losses = Tensor::empty(*device, {rows});
      kernels::cross_entropy(losses, work, targets, scale, stream);
      return losses;
    };
    Tensor gradient = test::copy_of(logits);
    losses_of(gradient, 0.5f);
    test::check_against_differences(gradient, logits, "logits", [&] {
      Tensor work = test::copy_of(logits);
      double sum = 0;
      for (const float loss : losses_of(work, 1.0f).values())
        sum += 0.5 * loss;
      return sum;
    });
  }
}
