// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/compute.hpp"

#include <algorithm>
#include <map>

#include "perfmodels/calibrate/kernel_trials.hpp"
#include "perfmodels/kernel_time.hpp"

namespace lockstep {

namespace {

constexpr std::int64_t kFewHeads = 4;
constexpr std::int64_t kLeastBucket = 1 << 16;             // elements: of fewer few buckets are
constexpr std::int64_t kGrowth = 4, kGrowthOfBuckets = 8;  // of sizes; all go by bytes there
constexpr std::int64_t kSequences[] = {1, 4, 64};

// The ways in which a device computes in one type, by what recordings call each
// (Operation::detail).
struct Way {
  const char* by;
  Numerics numerics;
};
std::vector<Way> ways_of_products(const Device& device, DType values) {
  std::vector<Way> all{{"", {.values = values}}};
  if (device.kind() == DeviceKind::cuda && values == DType::float32)
    all.push_back({"tf32", {.values = values, .products = Products::tf32}});
  return all;
}
std::vector<Way> ways_of_attention(const Device& device, DType values) {
  std::vector<Way> all{{"", {.values = values}}};
  if (device.kind() == DeviceKind::cuda && values == DType::bfloat16)
    all.push_back({"library", {.values = values, .attention = AttentionBy::library}});
  return all;
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
    : sampler_(sampler), device_(device), values_(values), in_turn_(extent.in_turn) {
  add_constants(extent);
  add_products(extent);
  add_attention(extent);
  add_streaming(extent);
}

void ComputeCalibration::add_products(const Extent& extent) {
  for (const ProductKernel& kernel : product_kernels()) {
    if (kernel.bfloat16_only && values_ != DType::bfloat16) continue;
    for (const std::int64_t m : extent.products) {
      for (const std::int64_t n : extent.products) {
        for (const std::int64_t k : extent.products)
          add_product(extent, kernel, m, n, k);
      }
    }
  }
}

void ComputeCalibration::add_product(const Extent& extent, const ProductKernel& kernel,
                                     std::int64_t m, std::int64_t n, std::int64_t k) {
  const auto elements = static_cast<double>(m * n + n * k + m * k);
  const double bytes = static_cast<double>(size_of(values_)) * elements;
  if (2.0 * m * n * k > extent.most_flops || bytes > extent.most_bytes) return;
  const auto prepare = [&device = device_, kernel, m, n, k] {
    return kernel.prepare(device, m, n, k);
  };
  for (const Way& way : ways_of_products(device_, values_))
    products_.push_back(
        {kernel.name, way.by, m, n, k, add(kernel.name, bytes, prepare, way.numerics)});
}

void ComputeCalibration::add_attention(const Extent& extent) {
  for (const AttentionKernel& kernel : attention_kernels()) {
    for (const std::int64_t T : extent.attention_tokens) {
      for (const std::int64_t D : extent.attention_channels) {
        for (const std::int64_t B : kSequences)
          add_attention(extent, kernel, B, T, D);
      }
    }
  }
}

void ComputeCalibration::add_attention(const Extent& extent, const AttentionKernel& kernel,
                                       std::int64_t B, std::int64_t T, std::int64_t D) {
  const std::int64_t H = kFewHeads;
  const double bytes = 4.0 * static_cast<double>(size_of(values_)) * B * T * H * D;
  if (8.0 * B * T * T * H * D > extent.most_flops || bytes > extent.most_bytes) return;
  const auto shape = kernels::AttentionShape::whole(B, T, H, D);
  const auto prepare = [&device = device_, kernel, shape] { return kernel.prepare(device, shape); };
  for (const Way& way : ways_of_attention(device_, values_))
    attention_.push_back(
        {kernel.name, way.by, B, T, H, D, add(kernel.name, bytes, prepare, way.numerics)});
}

void ComputeCalibration::add_streaming(const Extent& extent) {
  for (const StreamingKernel& kernel : streaming_kernels())
    add_streaming(extent, kernel, extent.least_elements, kGrowth);
  if (values_ != DType::float32) return;
  for (const StreamingKernel& kernel : compression_kernels())
    add_streaming(extent, kernel, std::min(kLeastBucket, extent.most_elements), kGrowthOfBuckets);
}

void ComputeCalibration::add_streaming(const Extent& extent, const StreamingKernel& kernel,
                                       std::int64_t least, std::int64_t growth) {
  const std::string name = kernel_key(kernel.name, kernel.by);
  double before = 0;
  const std::int64_t most = std::min(extent.most_elements, kernel.most);
  for (std::int64_t n = least; n <= most; n *= growth) {
    const Operation cost = operation_of(kernel, n, values_);
    const double bytes = std::max(cost.bytes_read + cost.bytes_written, 1.0);
    if (bytes > extent.most_bytes) break;
    if (bytes <= before) continue;  // there is a row at least; or it does not depend on them
    before = bytes;
    const auto prepare = [&device = device_, kernel, n] { return kernel.prepare(device, n); };
    const std::size_t item = add(kernel.name, bytes, prepare, {.values = values_}, kernel.found);
    streaming_.push_back({name, bytes, item, kernel.found});
  }
}

// Of a GPU a launch has no constant: one begins while the one before it is at work, and what is
// between two of them is in the curves, where one follows the other.
void ComputeCalibration::add_constants(const Extent& extent) {
  peak_ = sampler_.add({.name = "peak", .prepare = [this] {
                          device_.compute_in({.values = values_});
                          return peak_trial(device_);
                        }});
  if (device_.kind() == DeviceKind::cpu) {
    launch_ = sampler_.add(
        {.name = "launch", .prepare = [&device = device_] { return launch_trial(device); }});
  }
  const auto copies =
      std::find_if(streaming_kernels().begin(), streaming_kernels().end(),
                   [](const StreamingKernel& k) { return k.name == std::string("copy"); });
  bandwidth_bytes_ = 2.0 * static_cast<double>(size_of(values_)) * extent.bandwidth_elements;
  const auto prepare = [&device = device_, kernel = *copies, n = extent.bandwidth_elements] {
    return kernel.prepare(device, n);
  };
  bandwidth_ =
      add("memory bandwidth", bandwidth_bytes_, prepare, {.values = values_}, Found::in_memory);
}

std::size_t ComputeCalibration::add(const char* name, double bytes,
                                    const std::function<Launch()>& prepare,
                                    const Numerics& numerics, Found found) {
  return sampler_.add({.name = name,
                       .prepare =
                           [this, prepare, numerics, bytes, found] {
                             device_.compute_in(numerics);
                             return kernel_trial(device_, prepare, bytes, found, in_turn_);
                           },
                       .equal_work = true});
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
  if (launch_) p.launch = seconds(*launch_);
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
                      .kernel = g.name,
                      .by = g.by});
    if (*g.by) continue;
    const double rate = 2.0 * g.m * g.n * g.k / t.value;
    fastest = std::max(fastest, rate);
    products.push_back(rate);
  }
  for (const Attention& a : attention_) {
    const Figure t = seconds(a.item);
    const bool backward = a.name != std::string(attention_kernels().front().name);
    p.attention.push_back({.pass = a.name,
                           .by = a.by,
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
