// SPDX-License-Identifier: Apache-2.0
// Every answer of parallel.zero trains the model of zero = 0, on ranks that are threads.
#include "parallelism/zero/zero.hpp"

#include <cmath>
#include <string>

#include "parallelism/zero/units.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/linear.hpp"
#include "runtime/nn/gelu.hpp"
#include "runtime/nn/layernorm.hpp"
#include "runtime/nn/linear.hpp"
#include "runtime/optim/optimizer.hpp"
#include "tests/collectives/ranks.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr std::int64_t kIn = 7, kWide = 33, kRows = 6;

// The second use of a weight: y = x W^T.
class Tied : public Module {
 public:
  explicit Tied(Parameter& weight) : weight_(weight) {
    weight.uses = 2;
    weight.second_grad = Tensor::empty(weight.value.device(), weight.value.shape());
    kernels::fill(weight.second_grad, 0.0f, weight.value.device().compute());
  }

  Tensor forward(const Tensor& x, Stash& stash) override {
    Tensor y = Tensor::empty(x.device(), {x.dim(0), weight_.value.dim(0)});
    kernels::linear_forward(y, x, weight_.value, Tensor(), x.device().compute());
    stash.save(this, x);
    return y;
  }
  Tensor backward_input(Tensor dy, Stash& stash) override {
    Tensor dx = Tensor::empty(dy.device(), {dy.dim(0), weight_.value.dim(1)});
    kernels::linear_backward_input(dx, dy, weight_.value, dy.device().compute());
    stash.save(this, std::move(dy));
    stash.owe(*this);
    return dx;
  }
  void backward_weight(Stash& stash) override {
    const Tensor dy = stash.take(this), x = stash.take(this);
    Tensor none;
    kernels::linear_backward_weight(weight_.second_grad, none, dy, x, dy.device().compute());
    stash.ready(weight_);
  }
  void parameters(std::vector<Parameter*>& into) override { into.push_back(&weight_); }

 private:
  Parameter& weight_;
};

Tensor input(Device& device, std::uint64_t key) {
  const Shape shape{kRows, kIn};
  return device.executes() ? random_tensor(device, shape, key) : Tensor::empty(device, shape);
}

// Odd sizes; biases and norms of fewer elements than a line has; the first weight is used twice.

std::unique_ptr<nn::Sequential> make_layers(Device& device, std::int64_t width = kWide) {
  const Init init{.seed = 3, .deviation = 0.3f};
  std::vector<std::unique_ptr<Module>> layers;
  layers.push_back(std::make_unique<nn::Linear>(device, "in", kIn, 5, init));
  layers.push_back(std::make_unique<nn::LayerNorm>(device, "norm", 5));
  layers.push_back(std::make_unique<nn::Linear>(device, "up", 5, width, init));
  layers.push_back(std::make_unique<nn::Gelu>());
  layers.push_back(std::make_unique<nn::Linear>(device, "middle", width, width, init));
  layers.push_back(std::make_unique<nn::Linear>(device, "down", width, kIn, init));
  layers.push_back(std::make_unique<Tied>(*parameters_of(*layers.front()).front()));
  return std::make_unique<nn::Sequential>(std::move(layers));
}

std::vector<LayerParameters> layers_of(const nn::Sequential& model) {
  std::vector<LayerParameters> layers;
  for (const auto& layer : model.layers())
    layers.push_back({layer.get(), parameters_of(*layer)});
  layers.back().parameters.clear();  // belongs to the first
  return layers;
}

class Trainer {
 public:
  // `batches`: what a rank learns from, different on every rank.
  Trainer(const Communicator& data, Device& device, const DataParallelOptions& options,
          std::uint64_t batches, std::int64_t width = kWide)
      : device_(device),
        batches_(100 * batches),
        micro_batches_(options.micro_batches),
        model_(make_layers(device, width)),
        layers_(layers_of(*model_)),
        parallel_(make_data_parallel(layers_, data, options)) {
    std::vector<UpdatePiece> pieces;
    for (const Piece& p : parallel_->pieces())
      pieces.push_back({p.value, p.grad, p.parameter->decays});
    optimizer_ = make_optimizer({}, pieces);
    model_->watch(parallel_->watcher());
  }

  void step() {
    for (std::int64_t m = 0; m < micro_batches_; ++m)
      micro_batch();
    parallel_->finish();
    Tensor factor = Tensor::empty(device_, {1});
    kernels::fill(factor, 1.0f, device_.compute());
    optimizer_->step(1e-2, factor);
    parallel_->publish();
  }

  // Forward only, as evaluations do.
  std::vector<float> infer() {
    Stash stash({}, Stash::Mode::inference);
    const Tensor y = model_->forward(input(device_, 5), stash);
    return {y.values().begin(), y.values().end()};
  }

  // Layer by layer, brought to this rank where they are not.
  std::vector<float> weights() {
    std::vector<float> all;
    for (const LayerParameters& layer : layers_) {
      auto* watcher = parallel_->watcher();
      if (watcher) watcher->before(*layer.layer, nn::LayerWatcher::Pass::forward);
      for (const Parameter* p : layer.parameters)
        all.insert(all.end(), p->value.values().begin(), p->value.values().end());
      if (watcher) watcher->after(*layer.layer, nn::LayerWatcher::Pass::forward);
    }
    return all;
  }

 private:
  void micro_batch() {
    Stash stash{MicroBatch{}};
    stash.on_ready([this](Parameter& p) { parallel_->ready(p); });
    Tensor y = model_->forward(input(device_, batches_++), stash);
    model_->backward_input(std::move(y), stash);  // of half the sum of squares
  }

  Device& device_;
  std::uint64_t batches_;  // key of the next one
  std::int64_t micro_batches_;
  std::unique_ptr<nn::Sequential> model_;
  std::vector<LayerParameters> layers_;
  std::unique_ptr<DataParallel> parallel_;
  std::unique_ptr<Optimizer> optimizer_;
};

struct Trained {
  std::vector<float> weights, outputs;
};

std::vector<Trained> train(int ranks, const DataParallelOptions& options) {
  std::vector<Trained> of_rank(static_cast<std::size_t>(ranks));
  on_ranks(ranks, [&](Transport& net) {
    const auto device = make_cpu_device();
    const auto data = Communicator::over(net.split(0, net.rank()), *device);
    Trainer trainer(data, *device, options, net.rank());
    for (int s = 0; s < 4; ++s) {
      trainer.step();
      if (s == 1) trainer.infer();
    }
    of_rank[static_cast<std::size_t>(net.rank())] = {trainer.weights(), trainer.infer()};
  });
  return of_rank;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    largest = std::max(largest, std::abs(double{a[i]} - b[i]) / (std::abs(double{b[i]}) + 1e-2));
  return largest;
}

}  // namespace

TEST_CASE("every zero trains the model of zero 0", "[unit]") {
  for (const int ranks : {1, 2, 3, 4}) {
    for (const std::int64_t micro_batches : {1, 3}) {
      DataParallelOptions options{.bucket_bytes = 1000, .micro_batches = micro_batches};
      const Trained whole = train(ranks, options).front();
      for (options.zero = 1; options.zero <= 3; ++options.zero) {
        INFO(ranks << " ranks, " << micro_batches << " micro-batches, zero " << options.zero);
        for (const Trained& cut : train(ranks, options)) {
          const bool same_order = ranks <= 2 && (options.zero == 1 || micro_batches == 1);
          const double tolerance = same_order ? 0.0 : 1e-6;
          CHECK(largest_difference(cut.weights, whole.weights) <= tolerance);
          CHECK(largest_difference(cut.outputs, whole.outputs) <= 100 * tolerance);
        }
      }
    }
  }
}
