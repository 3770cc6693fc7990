// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/overlap.hpp"

#include <algorithm>

#include "runtime/base/clock.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/linear.hpp"

namespace lockstep {

namespace {

constexpr std::int64_t kWidth = 256;  // of products
constexpr double kComputeSeconds = 5e-3, kCommunicateSeconds = 10e-3;
constexpr double kLonger = 2;  // than what is timed: the other one, so that it is always there
constexpr std::size_t kSeries = 4;

class OverlapTrial : public Trial {
 public:
  OverlapTrial(const Communicator& world, Device& device, std::int64_t elements)
      : world_(world),
        device_(device),
        x_(square()),
        w_(square()),
        y_(square()),
        data_(Tensor::over(device, world.allocate(4 * static_cast<std::size_t>(elements)),
                           {elements})) {
    std::fill(data_.values().begin(), data_.values().end(), 1.0f);
    for (Tensor* t : {&x_, &w_, &y_})
      std::fill(t->values().begin(), t->values().end(), 0.01f);
    compute(2);
    communicate(4);
    products_ = number_for(kComputeSeconds, compute(4) / 4);
    sums_ = number_for(kCommunicateSeconds, communicate(4) / 4);
  }

  // Compute alone, beside sums; sums alone, beside computation.
  void run(std::span<double> seconds) override {
    seconds[0] = compute(products_);
    std::vector<Work> works = submit(static_cast<int>(kLonger) * sums_ + 1);
    seconds[1] = compute(products_);
    finish(works);
    seconds[2] = communicate(sums_);
    works = submit(sums_);
    const double begin = now();
    while (!works.back().done())
      compute(1);
    seconds[3] = now() - begin;
    finish(works);
  }

 private:
  Tensor square() { return Tensor::empty(device_, {kWidth, kWidth}); }

  // Of all ranks: the same number on each.
  int number_for(double seconds, double each) {
    Tensor one = Tensor::empty(device_, {1});
    *one.data() = static_cast<float>(each);
    world_.all_reduce(one, ReduceOp::max).wait();
    return std::max(static_cast<int>(seconds / *one.data()), 1);
  }

  double compute(int times) {
    const double begin = now();
    for (int i = 0; i < times; ++i) {
      kernels::linear_forward(y_, x_, w_, {}, device_.compute());
      kernels::gelu_forward(y_, y_, device_.compute());
    }
    return now() - begin;
  }
  std::vector<Work> submit(int times) {
    std::vector<Work> works;
    for (int i = 0; i < times; ++i)
      works.push_back(world_.all_reduce(data_, ReduceOp::max));  // a sum would overflow in time
    return works;
  }
  static void finish(std::vector<Work>& works) {
    for (Work& work : works)
      work.wait();
  }
  double communicate(int times) {
    world_.barrier().wait();
    const double begin = now();
    std::vector<Work> works = submit(times);
    finish(works);
    return now() - begin;
  }

  const Communicator& world_;
  Device& device_;
  Tensor x_, w_, y_, data_;  // [width,width], [elements]
  int products_ = 1, sums_ = 1;
};

// How much longer it takes: never less than 1.
Figure factor(const Samples& alone, const Samples& beside) {
  const Figure a = alone.figure(), b = beside.figure();
  const double value = std::max(b.value / a.value, 1.0);
  return {value, std::min(value, std::max(b.low / a.high, 1.0)), std::max(value, b.high / a.low)};
}

}  // namespace

OverlapCalibration::OverlapCalibration(Sampler& sampler, const Communicator& world, Device& device,
                                       std::int64_t elements)
    : sampler_(sampler),
      item_(sampler.add({.name = "overlap",
                         .prepare =
                             [&world, &device, elements] {
                               return std::make_unique<OverlapTrial>(world, device, elements);
                             },
                         .num_series = kSeries})) {}

OverlapProfile OverlapCalibration::profile() const {
  return {.source = "measured",
          .compute_slowdown = factor(sampler_.samples(item_, 0), sampler_.samples(item_, 1)),
          .communication_slowdown = factor(sampler_.samples(item_, 2), sampler_.samples(item_, 3))};
}

}  // namespace lockstep
