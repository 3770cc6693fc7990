// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/compute.hpp"

#include <algorithm>
#include <map>

#include "perfmodels/calibrate/compute_rate.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

namespace {

// Tensors in turn: more than a core's own caches hold, or than any cache.
struct Amounts {
  double cached_bytes;
  std::size_t memory_bytes;
  double shortest;  // seconds timed at once: the clock's resolution is below 0.2 % of it
};
constexpr Amounts kOfCpus{4 << 20, std::size_t{64} << 20, 20e-6};    // 30 ns
constexpr Amounts kOfGpus{128 << 20, std::size_t{1} << 30, 300e-6};  // 0.5 us
const Amounts& amounts_of(const Device& device) {
  return device.kind() == DeviceKind::cuda ? kOfGpus : kOfCpus;
}
constexpr double kMostSets = 64;  // of what is found in caches
constexpr double kPeakSeconds = 0.01;
constexpr std::int64_t kFewHeads = 4;
constexpr std::int64_t kSequences[] = {1, 4, 64};

// Launches of one kernel on several sets of tensors in turn.
class KernelTrial : public Trial {
 public:
  KernelTrial(Device& device, const std::function<Launch()>& prepare, double bytes, Found found)
      : stream_(device.compute()) {
    const Amounts& amounts = amounts_of(device);
    if (found == Found::in_memory) {
      fill_memory(device, prepare);
    } else {
      const double wanted = std::max(amounts.cached_bytes / std::max(bytes, 1.0), 1.0);
      for (std::size_t i = 0; i < static_cast<std::size_t>(std::min(wanted, kMostSets)); ++i)
        launches_.push_back(prepare());
    }
    const std::size_t sets = launches_.size();
    double one = 0;
    for (std::size_t i = 0; i < sets; ++i)
      one = timed(1);  // pages, code; in the end, the time
    batch_ = static_cast<int>(std::clamp(amounts.shortest / std::max(one, 1e-9), 1.0, 1000.0));
  }

  void run(std::span<double> seconds) override { seconds[0] = timed(batch_) / batch_; }

 private:
  // Until the tensors, tables and all, are more than the caches hold.
  void fill_memory(Device& device, const std::function<Launch()>& prepare) {
    const std::size_t before = device.memory().allocated;
    while (launches_.empty() ||
           device.memory().allocated < before + amounts_of(device).memory_bytes)
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

// FLOP/s as seconds per FLOP, so that the mean over ranks is one of costs.
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

// An output tensor is made and one element of it is written: what every kernel costs besides its
// work.
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

Item kernel_item(Device& device, const std::string& name, double bytes,
                 std::function<Launch()> prepare, Found found = Found::cached) {
  return {
      .name = name,
      .prepare = [&device, prepare = std::move(prepare), bytes,
                  found] { return std::make_unique<KernelTrial>(device, prepare, bytes, found); },
      .equal_work = true};
}

// The figure of amount / t where t is the figure.
Figure rate_of(double amount, const Figure& t) {
  return {amount / t.value, amount / t.high, amount / t.low};
}

double median_or(std::vector<double> values, double otherwise) {
  return values.empty() ? otherwise : median_of(std::move(values));
}

Figure share(double value) {
  return {.value = std::clamp(value, 1e-6, 1.0)};
}

}  // namespace

ComputeCalibration::ComputeCalibration(Sampler& sampler, Device& device, const Extent& extent,
                                       DType values)
    : sampler_(sampler), device_(device), values_(values) {
  add_constants(extent);
  add_products(extent);
  add_attention(extent);
  add_streaming(extent);
}

void ComputeCalibration::add_products(const Extent& extent) {
  for (const ProductKernel& kernel : product_kernels()) {
    for (const std::int64_t m : extent.products) {
      for (const std::int64_t n : extent.products) {
        for (const std::int64_t k : extent.products) {
          if (2.0 * m * n * k > extent.most_flops) continue;
          const double bytes = static_cast<double>(size_of(values_)) * (m * n + n * k + m * k);
          const auto prepare = [&device = device_, kernel, m, n, k] {
            return kernel.prepare(device, m, n, k);
          };
          products_.push_back(
              {kernel.name, m, n, k,
               sampler_.add(kernel_item(device_, kernel.name, bytes, in_type(prepare)))});
        }
      }
    }
  }
}

void ComputeCalibration::add_attention(const Extent& extent) {
  for (const AttentionKernel& kernel : attention_kernels()) {
    for (const std::int64_t T : extent.attention_tokens) {
      for (const std::int64_t D : extent.attention_channels) {
        for (const std::int64_t B : kSequences) {
          const std::int64_t H = kFewHeads;
          if (8.0 * B * T * T * H * D > extent.most_flops) continue;
          const auto shape = kernels::AttentionShape::whole(B, T, H, D);
          const auto prepare = [&device = device_, kernel, shape] {
            return kernel.prepare(device, shape);
          };
          const double bytes = 4.0 * static_cast<double>(size_of(values_)) * B * T * H * D;
          attention_.push_back(
              {kernel.name, B, T, H, D,
               sampler_.add(kernel_item(device_, kernel.name, bytes, in_type(prepare)))});
        }
      }
    }
  }
}

void ComputeCalibration::add_streaming(const Extent& extent) {
  for (const StreamingKernel& kernel : streaming_kernels()) {
    double before = 0;
    for (std::int64_t n = extent.least_elements; n <= extent.most_elements; n *= 4) {
      const Operation cost = operation_of(kernel, n, values_);
      const double bytes = std::max(cost.bytes_read + cost.bytes_written, 1.0);
      if (bytes <= before) break;  // it does not depend on the elements
      before = bytes;
      const auto prepare = [&device = device_, kernel, n] { return kernel.prepare(device, n); };
      streaming_.push_back(
          {kernel.name, bytes,
           sampler_.add(kernel_item(device_, kernel.name, bytes, in_type(prepare), kernel.found)),
           kernel.found});
    }
  }
}

void ComputeCalibration::add_constants(const Extent& extent) {
  peak_ = sampler_.add({.name = "peak", .prepare = [this] {
                          set_type();
                          return std::make_unique<PeakTrial>(device_);
                        }});
  launch_ = sampler_.add({.name = "launch", .prepare = [&device = device_] {
                            return std::make_unique<LaunchTrial>(device);
                          }});
  const auto copies =
      std::find_if(streaming_kernels().begin(), streaming_kernels().end(),
                   [](const StreamingKernel& k) { return k.name == std::string("copy"); });
  bandwidth_bytes_ = 2.0 * static_cast<double>(size_of(values_)) * extent.bandwidth_elements;
  const auto prepare = [&device = device_, kernel = *copies, n = extent.bandwidth_elements] {
    return kernel.prepare(device, n);
  };
  bandwidth_ = sampler_.add(kernel_item(device_, "memory bandwidth", bandwidth_bytes_,
                                        in_type(prepare), Found::in_memory));
}

void ComputeCalibration::set_type() const {
  device_.compute_in({.values = values_,
                      .products = device_.numerics().products,
                      .attention = AttentionBy::library_forward});  // as jobs do by default
}

std::function<Launch()> ComputeCalibration::in_type(std::function<Launch()> prepare) const {
  return [this, prepare = std::move(prepare)] {
    set_type();
    return prepare();
  };
}

std::vector<KernelCurve> ComputeCalibration::curves() const {
  std::vector<KernelCurve> all;
  std::map<std::string, std::vector<Point>> points;
  for (const Streaming& s : streaming_)
    points[s.name].push_back({s.bytes, seconds(s.item)});
  for (auto& [name, curve] : points)
    all.push_back({name, Curve(std::move(curve))});
  return all;
}

std::vector<std::size_t> ComputeCalibration::items(Found found) const {
  std::vector<std::size_t> all;
  for (const Streaming& s : streaming_) {
    if (s.found == found) all.push_back(s.item);
  }
  if (found == Found::in_memory) all.push_back(bandwidth_);
  if (found != Found::cached) return all;
  for (const Product& p : products_)
    all.push_back(p.item);
  for (const Attention& a : attention_)
    all.push_back(a.item);
  return all;
}

ComputeProfile ComputeCalibration::profile() const {
  ComputeProfile p;
  p.dtype = name_of(values_);
  p.source = "measured";
  p.launch = seconds(launch_);
  p.memory_bandwidth = rate_of(bandwidth_bytes_, seconds(bandwidth_));
  p.streaming = curves();
  std::vector<double> products, attention, streaming;
  double fastest = 0;
  for (const Product& g : products_) {
    const Figure t = seconds(g.item);
    p.gemm.push_back({.m = static_cast<double>(g.m),
                      .n = static_cast<double>(g.n),
                      .k = static_cast<double>(g.k),
                      .seconds = t,
                      .kernel = g.name});
    const double rate = 2.0 * g.m * g.n * g.k / t.value;
    fastest = std::max(fastest, rate);
    products.push_back(rate);
  }
  for (const Attention& a : attention_) {
    const Figure t = seconds(a.item);
    const bool backward = a.name != std::string(attention_kernels().front().name);
    p.attention.push_back({.pass = a.name,
                           .B = static_cast<double>(a.B),
                           .T = static_cast<double>(a.T),
                           .H = static_cast<double>(a.H),
                           .D = static_cast<double>(a.D),
                           .seconds = t});
    attention.push_back((backward ? 8.0 : 4.0) * a.B * a.T * a.T * a.H * a.D / t.value);
  }
  for (const Streaming& s : streaming_)
    streaming.push_back(s.bytes / seconds(s.item).value);

  // The fastest moment of all: whatever else the machine does can only slow it.
  const std::vector<double> peaks = sampler_.samples(peak_).all();
  const double peak = std::max(1 / *std::min_element(peaks.begin(), peaks.end()), fastest);
  p.peak_flops = {.value = peak};
  p.gemm_efficiency = share(median_or(products, peak) / peak);
  p.attention_efficiency = share(median_or(attention, peak) / peak);
  p.streaming_efficiency =
      share(median_or(streaming, p.memory_bandwidth.value) / p.memory_bandwidth.value);
  return p;
}

}  // namespace lockstep
