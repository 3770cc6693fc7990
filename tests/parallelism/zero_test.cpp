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
#include "tests/parallelism/counted_calls.hpp"
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
  // Which gradients are summed over another group first.
  using Earlier = std::function<std::vector<EarlierSum>(const std::vector<LayerParameters>&)>;

  // `batches`: what a rank learns from, different on every rank.
  Trainer(const Communicator& data, Device& device, const DataParallelOptions& options,
          std::uint64_t batches, std::int64_t width = kWide, const Earlier& earlier = {})
      : device_(device),
        batches_(100 * batches),
        micro_batches_(options.micro_batches),
        model_(make_layers(device, width)),
        layers_(layers_of(*model_)),
        parallel_(make_data_parallel(layers_, data, with(options, earlier))) {
    std::vector<UpdatePiece> pieces;
    for (const Piece& p : parallel_->pieces())
      pieces.push_back({p.value, p.grad, p.parameter->decays});
    optimizer_ = make_optimizer({}, pieces);
    model_->watch(parallel_->watcher());
  }

  void step() {
    for (std::int64_t m = 0; m < micro_batches_; ++m)
      micro_batch();
    finish();
    Tensor factor = Tensor::empty(device_, {1});
    kernels::fill(factor, 1.0f, device_.compute());
    optimizer_->step(1e-2, factor);
    parallel_->publish();
  }

  void micro_batch() {
    Stash stash{MicroBatch{}};
    stash.on_ready([this](Parameter& p) { parallel_->ready(p); });
    Tensor y = model_->forward(input(device_, batches_++), stash);
    model_->backward_input(std::move(y), stash);  // of half the sum of squares
  }

  void finish() { parallel_->finish(); }

  // Forward only, as evaluations do.
  std::vector<float> infer() {
    Stash stash({}, Stash::Mode::inference);
    const Tensor y = model_->forward(input(device_, 5), stash);
    return {y.values().begin(), y.values().end()};
  }

  // What travels of the model: each parameter in whole 64-byte lines.
  std::int64_t elements_in_lines() const {
    std::int64_t count = 0;
    for (const LayerParameters& layer : layers_) {
      for (const Parameter* p : layer.parameters)
        count += (p->value.count() + 15) / 16 * 16;
    }
    return count;
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
  DataParallelOptions with(DataParallelOptions options, const Earlier& earlier) const {
    if (earlier) options.earlier_sums = earlier(layers_);
    return options;
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

TEST_CASE("sums over another group come to the same with every zero", "[unit]") {
  const auto trained = [](const int zero) {
    std::vector<std::vector<float>> of_rank(4);
    on_ranks(4, [&](Transport& net) {
      const auto device = make_cpu_device();
      const auto world = Communicator::over(net.split(0, net.rank()), *device);
      const auto data = world.split("data", [](int r) { return r % 2; });
      const auto pair = world.split("pair", [](int r) { return r / 2; });
      const auto earlier = [&](const std::vector<LayerParameters>& layers) {
        std::vector<EarlierSum> sums;
        for (const std::size_t norm : {1, 5})
          for (Parameter* p : layers[norm].parameters)
            sums.push_back({p, pair});
        return sums;
      };
      Trainer trainer(data, *device, {.zero = zero, .bucket_bytes = 600, .micro_batches = 2},
                      static_cast<std::uint64_t>(net.rank()), kWide, earlier);
      for (int s = 0; s < 3; ++s)
        trainer.step();
      of_rank[static_cast<std::size_t>(net.rank())] = trainer.weights();
    });
    return of_rank;
  };
  const auto whole = trained(0);
  for (const int zero : {1, 2, 3}) {
    INFO("zero " << zero);
    const auto cut = trained(zero);
    for (std::size_t r = 0; r < cut.size(); ++r)
      CHECK(largest_difference(cut[r], whole[r]) <= 1e-6);
  }
  CHECK(largest_difference(whole[0], whole[1]) > 1e-3);  // a pair differs in all other weights
}

TEST_CASE("model states take what the theory says", "[unit]") {
  constexpr std::int64_t kWidth = 190;
  // Float32 values, gradients and the two moments of AdamW, in bytes per parameter.
  double (*const kTheory[])(double ranks) = {
      [](double) { return 16.0; }, [](double d) { return 8 + 8 / d; },
      [](double d) { return 4 + 12 / d; }, [](double d) { return 16 / d; }};
  for (const int ranks : {1, 2, 4}) {
    for (int zero = 0; zero <= 3; ++zero) {
      std::vector<BytesByUse> used(static_cast<std::size_t>(ranks));
      std::size_t elements = 0;
      on_ranks(ranks, [&](Transport& net) {
        const auto device = make_cpu_device();
        const auto data = Communicator::over(net.split(0, net.rank()), *device);
        Trainer trainer(data, *device, {.zero = zero, .bucket_bytes = 100000}, 0, kWidth);
        trainer.step();
        device->reset_peak();
        used[static_cast<std::size_t>(net.rank())] = device->memory().at_peak;
        const std::size_t counted = trainer.weights().size();
        if (net.rank() == 0) elements = counted;
      });
      for (const BytesByUse& bytes : used) {
        INFO(ranks << " ranks, zero " << zero);
        std::size_t states = 0;
        for (const MemoryUse use :
             {MemoryUse::parameters, MemoryUse::gradients, MemoryUse::optimizer})
          states += bytes[static_cast<std::size_t>(use)];
        const double theory = kTheory[zero](ranks) * static_cast<double>(elements);
        CHECK(std::abs(static_cast<double>(states) / theory - 1) < 0.05);
      }
    }
  }
}

TEST_CASE("a step sends what the headers state, as the flight recorder saw it", "[unit]") {
  // Elements of full vectors: each rank sends (d-1)/d of them.
  struct Volume {
    std::int64_t reduced = 0, scattered = 0, gathered = 0, all = 0;
  };
  for (int zero = 0; zero <= 3; ++zero) {
    for (const std::int64_t m : {1, 2, 3}) {
      std::vector<Volume> volumes(3);
      on_counted_ranks(3, [&](const Communicator& data, Device& device, CountedCalls& calls) {
        const DataParallelOptions options{.zero = zero, .bucket_bytes = 1000, .micro_batches = m};
        Trainer trainer(data, device, options, 0);
        trainer.step();
        calls.take();
        trainer.step();
        Volume& v = volumes[static_cast<std::size_t>(data.rank())];
        for (const CallRecord& call : calls.take()) {
          (call.what == Collective::all_reduce       ? v.reduced
           : call.what == Collective::reduce_scatter ? v.scattered
                                                     : v.gathered) +=
              static_cast<std::int64_t>(call.count);
        }
        v.all = trainer.elements_in_lines();
      });
      for (const Volume& v : volumes) {
        INFO("zero " << zero << ", " << m << " micro-batches");
        CHECK(v.reduced == (zero == 0 ? v.all : 0));
        CHECK(v.scattered == (zero == 0 ? 0 : zero == 1 ? v.all : m * v.all));
        if (zero < 3) CHECK(v.gathered == (zero == 0 ? 0 : v.all));
      }
    }
  }
}

TEST_CASE("gradients that come too late, or not at all, are noticed", "[unit]") {
  const auto device = make_dry_device();
  const auto data = Communicator::dry(*device, 2, 0);
  for (const int zero : {2, 3}) {
    CHECK_THROWS_AS(Trainer(data, *device, {.zero = zero, .deferred = true}, 0), ConfigError);
    Trainer trainer(data, *device, {.zero = zero, .micro_batches = 2}, 0);
    trainer.micro_batch();
    CHECK_THROWS_AS(trainer.finish(), LogicError);
  }
  Trainer trainer(data, *device, {.zero = 1, .micro_batches = 2}, 0);
  trainer.micro_batch();
  CHECK_THROWS_AS(trainer.finish(), LogicError);
}

TEST_CASE("neighbours share no buffer, and few are enough", "[unit]") {
  UnitPlan plan{.units = {}, .layers = std::vector<const Module*>(6)};
  for (const std::int64_t count : {5000, 10, 10, 10, 10, 4000})  // embedding, blocks, head
    plan.units.push_back({.count = count, .layers = {plan.units.size()}});
  const SharedBuffers buffers = share_buffers(plan, Whose::used);
  CHECK(buffers.counts == std::vector<std::int64_t>{5000, 10, 10});
  for (std::size_t u = 0; u + 1 < plan.units.size(); ++u)
    CHECK(buffers.of_unit[u] != buffers.of_unit[u + 1]);

  plan.units.front().layers = {0, 5};  // used by the last layer, too
  CHECK(share_buffers(plan, Whose::used).counts == std::vector<std::int64_t>{5000, 4000, 10});
  CHECK(share_buffers(plan, Whose::owned).counts == std::vector<std::int64_t>{5000, 10, 10});
}

TEST_CASE("blocks are whole lines, and pieces are what of a parameter lies in them", "[unit]") {
  const auto device = make_dry_device();
  Parameter a{.name = "a", .value = Tensor::empty(*device, {20})};
  Parameter b{.name = "b", .value = Tensor::empty(*device, {9, 4})};
  const UnitPlan plan =
      plan_units({{nullptr, {&a, &b}}}, {.zero = 2, .bucket_bytes = 1}, 2);  // b: 3 lines, a: 2
  REQUIRE(plan.units.size() == 1);
  const Unit& unit = plan.units.front();
  CHECK(unit.count == 80);
  CHECK(unit.blocks[0] == Block{0, 32});
  CHECK(unit.blocks[1] == Block{32, 48});

  std::vector<Piece> pieces;
  const Tensor block = Tensor::empty(*device, {48});
  append_pieces(pieces, unit, 1, block, block);
  REQUIRE(pieces.size() == 2);
  CHECK((pieces[0].parameter == &a && pieces[0].begin == 0 && pieces[0].value.count() == 20));
  CHECK((pieces[1].parameter == &b && pieces[1].begin == 32 && pieces[1].value.count() == 4));
}
