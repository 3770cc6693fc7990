// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/kernel_trials.hpp"

#include <algorithm>

#include "perfmodels/calibrate/compute_rate.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

constexpr double kMostSets = 64;  // of what is found in caches
constexpr double kPeakSeconds = 0.01;

class KernelTrial : public Trial {
 public:
  KernelTrial(Device& device, const std::function<Launch()>& prepare, double bytes, Found found,
              const InTurn& in_turn)
      : stream_(device.compute()) {
    if (found == Found::in_memory) {
      fill_memory(device, prepare, in_turn);
    } else {
      const double wanted = std::max(in_turn.cached_bytes / std::max(bytes, 1.0), 1.0);
      for (std::size_t i = 0; i < static_cast<std::size_t>(std::min(wanted, kMostSets)); ++i)
        launches_.push_back(prepare());
    }
    // Pages, code; on a GPU plans, too, which the host makes between the events of a first launch.
    const bool gpu = device.kind() == DeviceKind::cuda;
    const auto sets = static_cast<int>(launches_.size());
    timed(gpu ? sets : sets - 1);
    const double one = timed(1);
    batch_ = static_cast<int>(std::clamp(in_turn.shortest / std::max(one, 1e-9), 1.0, 1000.0));
  }

  void run(std::span<double> seconds) override { seconds[0] = timed(batch_) / batch_; }

 private:
  // Until the tensors, tables and all, are more than the caches hold.
  void fill_memory(Device& device, const std::function<Launch()>& prepare, const InTurn& in_turn) {
    const std::size_t before = device.memory().allocated;
    const auto fills = [&] { return device.memory().allocated >= before + in_turn.memory_bytes; };
    while (launches_.empty() || (!fills() && launches_.size() < in_turn.most_sets))
      launches_.push_back(prepare());
  }

  double timed(int batch) {
    return stream_.seconds_of([&] {
      for (int i = 0; i < batch; ++i) {
        launches_[next_]();
        next_ = next_ + 1 < launches_.size() ? next_ + 1 : 0;
      }
    });
  }

  Stream& stream_;
  std::vector<Launch> launches_;
  std::size_t next_ = 0;
  int batch_ = 1;
};

class PeakTrial : public Trial {
 public:
  explicit PeakTrial(Device& device) : device_(device) {}

  void run(std::span<double> seconds) override {
    const bool gpu = device_.kind() == DeviceKind::cuda;
    seconds[0] =
        1 / (gpu ? measure_gemm_rate(device_, kPeakSeconds) : measure_fma_peak(kPeakSeconds));
  }

 private:
  Device& device_;
};

class LaunchTrial : public Trial {
 public:
  explicit LaunchTrial(Device& device) : device_(device) {}

  void run(std::span<double> seconds) override {
    constexpr int kBatch = 100;
    const double all = device_.compute().seconds_of([this] {
      for (int i = 0; i < kBatch; ++i) {
        Tensor y = Tensor::empty(device_, {1});
        kernels::fill(y, 0, device_.compute());
      }
    });
    seconds[0] = all / kBatch;
  }

 private:
  Device& device_;
};

}  // namespace

std::unique_ptr<Trial> kernel_trial(Device& device, const std::function<Launch()>& prepare,
                                    double bytes, Found found, const InTurn& in_turn) {
  return std::make_unique<KernelTrial>(device, prepare, bytes, found, in_turn);
}

std::unique_ptr<Trial> peak_trial(Device& device) {
  return std::make_unique<PeakTrial>(device);
}

std::unique_ptr<Trial> launch_trial(Device& device) {
  return std::make_unique<LaunchTrial>(device);
}

}  // namespace lockstep
