// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/overlap.hpp"

#include <algorithm>

#include "runtime/base/clock.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/linear.hpp"

namespace lockstep {

namespace {

constexpr std::int64_t kWidth = 128;  // of products: short, so that the end of a sum is noticed
constexpr std::int64_t kSmaller = 8;  // times, than the large sum: the small one
constexpr double kComputeSeconds = 30e-3;  // longer than a large sum beside it
constexpr double kLeastSlowdown =
    1.05;  // of a core that is shared: nearer to 1 kernels stand still

enum Series : std::uint8_t {
  kAlone,   // kernels
  kBeside,  // kernels beside a large sum
  kSmallAlone,
  kSmallBeside,
  kLargeAlone,
  kLargeBeside,
  kNumSeries
};

class OverlapTrial : public Trial {
 public:
  OverlapTrial(const Communicator& world, Device& device, std::int64_t elements)
      : world_(world),
        device_(device),
        x_(square()),
        w_(square()),
        y_(square()),
        small_(sum_of(std::max<std::int64_t>(elements / kSmaller, 1))),
        large_(sum_of(elements)) {
    for (Tensor* t : {&x_, &w_, &y_})
      std::fill(t->values().begin(), t->values().end(), 0.01f);
    compute(2);
    products_ = number_for(kComputeSeconds, compute(16) / 16);
  }

  void run(std::span<double> seconds) override {
    seconds[kAlone] = compute(products_);
    world_.barrier().wait();
    Work work = world_.all_reduce(large_, ReduceOp::max);  // a sum would overflow in time
    seconds[kBeside] = compute(products_);
    work.wait();
    seconds[kSmallAlone] = alone(small_);
    seconds[kLargeAlone] = alone(large_);
    seconds[kSmallBeside] = beside(small_);
    seconds[kLargeBeside] = beside(large_);
  }

 private:
  Tensor square() { return Tensor::empty(device_, {kWidth, kWidth}); }
  Tensor sum_of(std::int64_t elements) {
    const auto bytes = static_cast<std::size_t>(elements) * sizeof(float);
    Tensor t = Tensor::over(device_, world_.allocate(bytes), {elements});
    std::fill(t.values().begin(), t.values().end(), 1.0f);
    return t;
  }

  // Of all ranks: the same number on each.
  int number_for(double seconds, double each) {
    Tensor one = Tensor::empty(device_, {1});
    *one.data() = static_cast<float>(each);
    world_.all_reduce(one, ReduceOp::max).wait();
    return std::max(static_cast<int>(seconds / *one.data()), 4);
  }

  double compute(int times) {
    const double begin = now();
    for (int i = 0; i < times; ++i) {
      kernels::linear_forward(y_, x_, w_, {}, device_.compute());
      kernels::gelu_forward(y_, y_, device_.compute());
    }
    return now() - begin;
  }
  double alone(Tensor& data) {
    world_.barrier().wait();
    const double begin = now();
    world_.all_reduce(data, ReduceOp::max).wait();
    return now() - begin;
  }
  // Kernels had the core before it, and have it until it is done on this rank.
  double beside(Tensor& data) {
    world_.barrier().wait();
    compute(products_ / 4);
    const double begin = now();
    Work work = world_.all_reduce(data, ReduceOp::max);
    while (!work.done())
      compute(1);
    const double seconds = now() - begin;
    work.wait();
    return seconds;
  }

  const Communicator& world_;
  Device& device_;
  Tensor x_, w_, y_, small_, large_;  // [width,width], [elements]
  int products_ = 1;
};

}  // namespace

OverlapCalibration::OverlapCalibration(Sampler& sampler, const Communicator& world, Device& device,
                                       std::int64_t elements)
    : sampler_(sampler),
      item_(sampler.add({.name = "overlap",
                         .prepare =
                             [&world, &device, elements] {
                               return std::make_unique<OverlapTrial>(world, device, elements);
                             },
                         .num_series = kNumSeries})) {}

// Beside kernels a sum takes delay + slowdown * alone. What the kernels lose they lose while it is
// at work.
OverlapProfile OverlapCalibration::profile() const {
  const auto of = [&](Series s) { return sampler_.samples(item_, s).figure().value; };
  const double longer = of(kLargeAlone) - of(kSmallAlone);
  const double slower = longer > 0 ? (of(kLargeBeside) - of(kSmallBeside)) / longer : 1;
  const double slowdown = std::max(slower, kLeastSlowdown);
  const double delay = std::max(of(kSmallBeside) - slowdown * of(kSmallAlone), 0.0);
  const double lost = std::max(of(kBeside) - of(kAlone), 0.0), at_work = slowdown * of(kLargeAlone);
  const double compute = at_work / std::max(at_work - lost, at_work / slowdown);
  return {.source = "measured, one sum at a time",
          .compute_slowdown = {compute},
          .communication_slowdown = {slowdown},
          .delay = {delay}};
}

}  // namespace lockstep
