// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/overlap.hpp"

#include <algorithm>

#include "perfmodels/calibrate/filled.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/linear.hpp"

namespace lockstep {

namespace {

constexpr std::int64_t kSmaller = 8;  // times, than the large sum: the small one
constexpr double kLeastSlowdown =
    1.05;                             // of a core that is shared: nearer to 1 kernels stand still
constexpr double kMostOfKernels = 4;  // on a GPU: the sum was over before they were

enum Series : std::uint8_t {
  kAlone,   // kernels
  kBeside,  // kernels beside a large sum
  kSmallAlone,
  kSmallBeside,
  kLargeAlone,
  kLargeBeside,
  kNumSeries
};

// The kernels are short, so that the end of a sum is noticed.
class OverlapTrial : public Trial {
 public:
  OverlapTrial(const Communicator& world, Device& device, const Overlapped& of)
      : world_(world),
        device_(device),
        on_gpu_(device.kind() == DeviceKind::cuda),
        x_(filled(device, {of.width, of.width})),
        w_(filled(device, {of.width, of.width})),
        y_(filled(device, {of.width, of.width})),
        small_(sum_of(std::max<std::int64_t>(of.elements / kSmaller, 1))),
        large_(sum_of(of.elements)) {
    compute(2);
    products_ = number_for(of.seconds, compute(16) / 16);
  }

  void run(std::span<double> seconds) override {
    seconds[kAlone] = compute(products_);
    meet();
    Work work = world_.all_reduce(large_, ReduceOp::max);  // a sum would overflow in time
    seconds[kBeside] = compute(products_);
    finish(work);
    seconds[kSmallAlone] = alone(small_);
    seconds[kLargeAlone] = alone(large_);
    seconds[kSmallBeside] = beside(small_);
    seconds[kLargeBeside] = beside(large_);
  }

 private:
  Tensor sum_of(std::int64_t elements) {
    const auto bytes = static_cast<std::size_t>(elements) * sizeof(float);
    Tensor t = Tensor::over(device_, world_.allocate(bytes), {elements});
    kernels::fill(t, 1, device_.compute());
    return t;
  }
  // Only a GPU's kernels wait for a Work.
  void finish(Work& work) {
    work.wait();
    if (on_gpu_) device_.compute().synchronize();
  }
  void meet() {
    Work barrier = world_.barrier();
    finish(barrier);
  }

  // Of all ranks: the same number on each.
  int number_for(double seconds, double each) {
    Tensor one = wide(device_, {1}, static_cast<float>(each));
    Work longest = world_.all_reduce(one, ReduceOp::max);
    finish(longest);
    float most = 0;
    device_.copy_out(&most, one.raw(), sizeof most);
    return std::max(static_cast<int>(seconds / most), 4);
  }

  void launch(int times) {
    for (int i = 0; i < times; ++i) {
      kernels::linear_forward(y_, x_, w_, {}, device_.compute());
      kernels::gelu_forward(y_, y_, device_.compute());
    }
  }
  double compute(int times) {
    return device_.compute().seconds_of([&] { launch(times); });
  }
  double alone(Tensor& data) {
    meet();
    const double begin = now();
    Work work = world_.all_reduce(data, ReduceOp::max);
    finish(work);
    return now() - begin;
  }
  // Kernels had the core before it, and have it until it is done on this rank. On a GPU it would
  // wait for those that were launched before; all are launched at once, and last longer.
  double beside(Tensor& data) {
    meet();
    if (!on_gpu_) compute(products_ / 4);
    const double begin = now();
    Work work = world_.all_reduce(data, ReduceOp::max);
    if (on_gpu_) launch(products_);
    while (!work.done()) {
      if (!on_gpu_) compute(1);
    }
    const double seconds = now() - begin;
    finish(work);
    return seconds;
  }

  const Communicator& world_;
  Device& device_;
  const bool on_gpu_;
  Tensor x_, w_, y_, small_, large_;  // [width,width], [elements]
  int products_ = 1;
};

}  // namespace

OverlapCalibration::OverlapCalibration(Sampler& sampler, const Communicator& world, Device& device,
                                       const Overlapped& of)
    : sampler_(sampler),
      item_(sampler.add({.name = "overlap",
                         .prepare =
                             [&world, &device, of] {
                               device.compute_in({});
                               return std::make_unique<OverlapTrial>(world, device, of);
                             },
                         .num_series = kNumSeries})),
      apart_(device.kind() == DeviceKind::cuda) {}

// Beside kernels a sum takes delay + slowdown * alone. What the kernels lose they lose while it is
// at work: where both have one core, not more than the sum has of it.
OverlapProfile OverlapCalibration::profile() const {
  const auto of = [&](Series s) { return sampler_.samples(item_, s).figure().value; };
  const double longer = of(kLargeAlone) - of(kSmallAlone);
  const double slower = longer > 0 ? (of(kLargeBeside) - of(kSmallBeside)) / longer : 1;
  const double slowdown = std::max(slower, apart_ ? 1 : kLeastSlowdown);
  const double delay = std::max(of(kSmallBeside) - slowdown * of(kSmallAlone), 0.0);
  const double lost = std::max(of(kBeside) - of(kAlone), 0.0), at_work = slowdown * of(kLargeAlone);
  const double least = at_work / (apart_ ? kMostOfKernels : slowdown);
  const double compute = at_work / std::max(at_work - lost, least);
  return {.source = "measured, one sum at a time",
          .compute_slowdown = {compute},
          .communication_slowdown = {slowdown},
          .delay = {delay}};
}

}  // namespace lockstep
