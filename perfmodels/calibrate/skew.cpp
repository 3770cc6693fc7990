// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/skew.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/clock.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gelu.hpp"
#include "runtime/kernels/linear.hpp"

namespace lockstep {

namespace {

constexpr std::int64_t kParts = 64;  // of what is found in memory
constexpr int kProducts = 2;         // for each copy, a tenth of the time
constexpr double kSliceSeconds = 0.7e-3;
constexpr std::size_t kGrowth = 4;      // slices of a window, from level to level
constexpr double kLeastWaiting = 1e-9;  // of curves, whose points lie above 0
constexpr int kTurns = 6;               // in every round
constexpr double kTail = 0.05;
constexpr double kLongest = 4;  // seconds of a window
constexpr std::size_t kLeastWindows = 8;

class SkewTrial : public Trial {
 public:
  SkewTrial(const Context& context, Device& device, int slices, std::int64_t width)
      : context_(context),
        device_(device),
        part_(width * width),
        x_(filled({width, width})),
        w_(filled({width, width})),
        y_(filled({width, width})),
        from_(filled({kParts * part_})),
        to_(filled({kParts * part_})),
        ends_(static_cast<std::size_t>(slices)) {
    compute(1);
    compute(1);
    double each = now();
    compute(1);
    each = now() - each;
    reduce(each, MPI_MAX);
    units_ = std::max(static_cast<int>(kSliceSeconds / each), 1);
  }

  // Of each level the average over windows: seconds of this rank, and by how much the slowest rank
  // took longer.
  void run(std::span<double> seconds) override {
    context_.barrier();
    const double begin = now();
    for (double& end : ends_) {
      compute(units_);
      end = now() - begin;
    }
    std::size_t level = 0;
    for (std::size_t window = 1; window <= ends_.size(); window *= kGrowth, ++level) {
      const std::vector<double> own = windows(window);
      std::vector<double> slowest = own;
      check_mpi(MPI_Allreduce(MPI_IN_PLACE, slowest.data(), static_cast<int>(slowest.size()),
                              MPI_DOUBLE, MPI_MAX, context_.world()));
      seconds[2 * level] = mean(own);
      seconds[2 * level + 1] = mean(slowest) - mean(own);
    }
  }

 private:
  Tensor filled(const Shape& shape) {
    Tensor t = Tensor::empty(device_, shape);
    kernels::fill(t, 0.01f, device_.compute());
    return t;
  }
  void compute(int units) {
    for (int i = 0; i < units; ++i) {
      for (int k = 0; k < kProducts; ++k) {
        kernels::linear_forward(y_, x_, w_, {}, device_.compute());
        kernels::gelu_forward(y_, y_, device_.compute());
      }
      Tensor to = to_.slice(next_, next_ + part_);
      kernels::copy(to, from_.slice(next_, next_ + part_), device_.compute());
      next_ = (next_ + part_) % (kParts * part_);
    }
    if (device_.kind() == DeviceKind::cuda) device_.compute().synchronize();
  }
  void reduce(double& value, MPI_Op op) const {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, op, context_.world()));
  }
  std::vector<double> windows(std::size_t slices) const {
    std::vector<double> all;
    for (std::size_t end = slices; end <= ends_.size(); end += slices)
      all.push_back(ends_[end - 1] - (end > slices ? ends_[end - slices - 1] : 0));
    return all;
  }
  static double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values)
      sum += v;
    return sum / static_cast<double>(values.size());
  }

  const Context& context_;
  Device& device_;
  const std::int64_t part_;       // copied at once
  Tensor x_, w_, y_, from_, to_;  // [width,width], [elements]
  std::vector<double> ends_;      // of the slices
  int units_ = 1;
  std::int64_t next_ = 0;
};

std::size_t levels_of(int slices) {
  std::size_t levels = 0;
  for (std::size_t window = 1; window <= static_cast<std::size_t>(slices); window *= kGrowth)
    ++levels;
  return levels;
}

// Median, and what 90 % of them lie between; they ascend.
Figure spread_of(const std::vector<double>& waited) {
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(waited.size() - 1);
    return std::max(waited[static_cast<std::size_t>(std::lround(place))], kLeastWaiting);
  };
  return {.value = at(0.5), .low = at(kTail), .high = at(1 - kTail)};
}

}  // namespace

std::vector<Window> windows_of(const std::vector<double>& own, const std::vector<double>& average,
                               double seconds) {
  std::vector<Window> all;
  Window next;
  for (std::size_t i = 0; i < own.size(); ++i) {
    next.own += own[i];
    next.average += average[i];
    if (next.average < seconds) continue;
    all.push_back(next);
    next = {};
  }
  return all;
}

SkewCalibration::SkewCalibration(const Context& context, Sampler& sampler, Device& device,
                                 const Extent& extent)
    : context_(context),
      sampler_(sampler),
      ranks_(context.size()),
      levels_(levels_of(extent.skew_slices)) {
  for (int i = 0; i < kTurns; ++i) {
    items_.push_back(sampler.add(
        {.name = "skew of the ranks",
         .prepare =
             [&context, &device, slices = extent.skew_slices, width = extent.busy_width] {
               device.compute_in({});
               return std::make_unique<SkewTrial>(context, device, slices, width);
             },
         .num_series = 2 * levels_}));
  }
}

// All samples of a series, ascending.
std::vector<double> SkewCalibration::samples(std::size_t series) const {
  std::vector<double> all;
  for (const std::size_t item : items_) {
    const std::vector<double> some = sampler_.samples(item, series).all();
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

// A rank that took twice as long as the average for its launches took twice as long by the clock:
// how many of them it timed at once it chose itself.
void SkewCalibration::add_long_windows(std::vector<Point>& points) const {
  std::vector<double> own, all;
  for (const EqualWork& w : sampler_.work()) {
    own.push_back(w.samples);
    all.insert(all.end(), {w.samples, w.seconds});
  }
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, all.data(), static_cast<int>(all.size()), MPI_DOUBLE,
                          MPI_SUM, context_.world()));
  std::vector<double> average;
  for (std::size_t i = 0; i < own.size(); ++i) {
    average.push_back(all[2 * i + 1] / ranks_);
    own[i] *= all[2 * i + 1] / all[2 * i];
  }
  for (double seconds = kGrowth * points.back().x; seconds < kLongest; seconds *= kGrowth) {
    const std::vector<Window> windows = windows_of(own, average, seconds);
    if (windows.size() < kLeastWindows) return;
    std::vector<double> slowest, waited;
    double computed = 0;
    for (const Window& w : windows) {
      slowest.push_back(w.own);
      computed += w.average;
    }
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, slowest.data(), static_cast<int>(slowest.size()),
                            MPI_DOUBLE, MPI_MAX, context_.world()));
    for (std::size_t i = 0; i < windows.size(); ++i)
      waited.push_back(slowest[i] - windows[i].average);
    std::sort(waited.begin(), waited.end());
    points.push_back({computed / static_cast<double>(windows.size()), spread_of(waited)});
  }
}

SkewProfile SkewCalibration::profile() const {
  std::vector<Point> points;
  for (std::size_t level = 0; level < levels_; ++level) {
    const double computed = median_of(samples(2 * level));
    if (!points.empty() && computed <= points.back().x) continue;
    points.push_back({computed, spread_of(samples(2 * level + 1))});
  }
  add_long_windows(points);
  return {.source = "measured, all ranks at once", .ranks = ranks_, .waiting = Curve(points)};
}

}  // namespace lockstep
