// SPDX-License-Identifier: Apache-2.0
// A recomputed module keeps its input and nothing else, and gives the bits of the module itself.
#include "runtime/nn/recompute.hpp"

#include "runtime/nn/gelu.hpp"
#include "runtime/nn/layernorm.hpp"
#include "runtime/nn/linear.hpp"
#include "runtime/nn/residual.hpp"
#include "runtime/nn/sequential.hpp"
#include "tests/support/gradient_check.hpp"

using namespace lockstep;

namespace {

constexpr std::int64_t kRows = 6, kChannels = 8;

std::unique_ptr<Module> branch(Device& device) {
  std::vector<std::unique_ptr<Module>> layers;
  layers.push_back(std::make_unique<nn::Linear>(device, "up", kChannels, 32, Init{1, 0.4f}));
  layers.push_back(std::make_unique<nn::Gelu>());
  layers.push_back(std::make_unique<nn::Linear>(device, "down", 32, kChannels, Init{1, 0.4f}));
  return std::make_unique<nn::Residual>(std::make_unique<nn::LayerNorm>(device, "norm", kChannels),
                                        std::make_unique<nn::Sequential>(std::move(layers)),
                                        nn::Dropout("dropout", 1, 0.3f));
}

struct Gradients {
  Tensor dx;
  std::vector<Tensor> of_parameters;
};

Gradients gradients_of(Module& module, Device& device, Stash::WeightGradients when) {
  const auto parameters = parameters_of(module);
  allocate_gradients(parameters);
  Stash stash(test::micro_batch(kRows, 1), Stash::Mode::training, when);
  const Tensor y = module.forward(test::random_tensor(device, {kRows, kChannels}, 2), stash);
  Gradients all{module.backward_input(test::random_tensor(device, y.shape(), 3), stash), {}};
  stash.settle();
  for (const Parameter* p : parameters)
    all.of_parameters.push_back(p->grad);
  return all;
}

}  // namespace

TEST_CASE("recomputing changes no bit, at once and deferred") {
  const auto device = make_cpu_device();
  const auto plain = branch(*device);
  nn::Recomputed again(branch(*device));
  const Gradients wanted = gradients_of(*plain, *device, Stash::WeightGradients::immediate);
  for (const auto when : {Stash::WeightGradients::immediate, Stash::WeightGradients::deferred}) {
    const Gradients got = gradients_of(again, *device, when);
    CHECK(test::largest_difference(got.dx, wanted.dx) == 0);
    for (std::size_t i = 0; i < wanted.of_parameters.size(); ++i)
      CHECK(test::largest_difference(got.of_parameters[i], wanted.of_parameters[i]) == 0);
  }
}

TEST_CASE("between forward and backward the input is kept, once; afterwards nothing") {
  const auto device = make_dry_device();
  nn::Recomputed module(branch(*device));
  allocate_gradients(parameters_of(module));
  const std::size_t before = device->memory().allocated, row = kChannels * sizeof(float);
  {
    Stash stash(test::micro_batch(kRows, 1));
    Tensor y = module.forward(Tensor::empty(*device, {kRows, kChannels}), stash);
    CHECK(device->memory().allocated - before == 2 * kRows * row);  // and the output
    y = module.backward_input(std::move(y), stash);
    CHECK(device->memory().allocated - before == kRows * row);
  }
  Stash evaluation(test::micro_batch(kRows, 1), Stash::Mode::inference);
  module.forward(Tensor::empty(*device, {kRows, kChannels}), evaluation);
  CHECK(device->memory().allocated == before);
}
