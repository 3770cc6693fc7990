// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/kernel_time.hpp"

#include <algorithm>
#include <cmath>

#include "perfmodels/gemm_rounds.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr const char* kMeasure = "; `mpirun ... lockstep calibrate` measures it";

// B and H share the work alike: their product, T and D.
Lattice::Sizes sizes_of(const AttentionPoint& p) {
  return {p.B * p.H, p.T, p.D};
}

Lattice::Sizes sizes_of(const Operation& operation) {
  const auto s = [&](std::size_t i) {
    return std::max(static_cast<double>(operation.shape[i]), 1.0);
  };
  if (operation.kind == OperationKind::gemm) return {s(0), s(1), s(2)};
  return {s(0) * s(2), s(1), s(3)};
}

bool is_backward(const std::string& name) {
  return name.find("backward") != std::string::npos;
}

// As recordings count: dense, backward twice of forward.
double attention_flops(const AttentionPoint& p) {
  return (is_backward(p.pass) ? 8 : 4) * p.B * p.T * p.T * p.H * p.D;
}

Figure per(const Figure& f, double work) {
  return {f.value / work, f.low / work, f.high / work};
}
Figure times(const Figure& f, double work) {
  return per(f, 1 / work);
}

// amount / (rate * share): the spreads of both add up.
Figure at_rate(double amount, const Figure& rate, const Figure& share) {
  const double value = amount / (rate.value * share.value);
  const double spread = std::min(rate.spread() + share.spread(), 1.0);
  if (spread == 0) return {value};
  return {value, value * (1 - spread), value * (1 + spread)};
}

double bytes_of(const Operation& operation) {
  return std::max(operation.bytes_read + operation.bytes_written, 1.0);
}

const Curve* curve_of(const ComputeProfile& p, const std::string& kernel) {
  for (const KernelCurve& c : p.streaming) {
    if (c.kernel == kernel && !c.seconds.empty()) return &c.seconds;
  }
  return nullptr;
}

const Curve* find_curve(const ComputeProfile& p, const Operation& operation) {
  const Curve* exact = curve_of(p, kernel_key(operation.name, operation.detail));
  return exact ? exact : curve_of(p, operation.name);
}

}  // namespace

// Of the points of one kernel. What nobody has measured by that way has those of the usual one.
std::string kernel_key(const std::string& kernel, const std::string& by) {
  return by.empty() ? kernel : kernel + " by " + by;
}

KernelTimes::KernelTimes(const Machine& machine) : machine_(machine) {
  for (const ComputeProfile& p : machine.compute) {
    std::map<std::string, std::vector<Lattice::Sample>> gemm, attention;
    for (const GemmPoint& g : p.gemm) {
      gemm[kernel_key(g.kernel, g.by)].push_back(
          {{g.m, g.n, g.k}, per(g.seconds, 2 * g.m * g.n * g.k)});
    }
    for (const AttentionPoint& a : p.attention) {
      attention[kernel_key(a.pass, a.by)].push_back(
          {sizes_of(a), per(a.seconds, attention_flops(a))});
    }
    Tables& t = by_dtype_[p.dtype];
    t.profile = &p;
    for (const auto& [kernel, samples] : gemm)
      t.gemm.emplace(kernel, Lattice(samples));
    for (const auto& [pass, samples] : attention)
      t.attention.emplace(pass, Lattice(samples));
  }
}

const KernelTimes::Tables& KernelTimes::tables(const Operation& operation) const {
  const char* dtype = name_of(operation.dtype);
  const auto found = by_dtype_.find(dtype);
  if (found != by_dtype_.end()) return found->second;
  throw ConfigError("machine profile '" + machine_.name + "' has no [[compute]] with dtype = \"" +
                    dtype + "\", which " + operation.name + " needs" + kMeasure);
}

const ComputeProfile& KernelTimes::profile(const Operation& operation) const {
  return *tables(operation).profile;
}

// Points of the kernel itself, else of any; nullptr without such.
const Lattice* KernelTimes::lattice(const Operation& operation) const {
  const Tables& t = tables(operation);
  const auto& all = operation.kind == OperationKind::gemm ? t.gemm : t.attention;
  auto found = all.find(kernel_key(operation.name, operation.detail));
  if (found == all.end()) found = all.find(operation.name);
  if (found == all.end()) found = all.find("");
  return found == all.end() ? nullptr : &found->second;
}

KernelTime KernelTimes::by_curve(const Operation& operation, const Curve& curve,
                                 const char* by) const {
  const double bytes = bytes_of(operation);
  return {curve.figure_at(bytes), 0, by, curve.covers(bytes) && by == std::string("curve")};
}

KernelTime KernelTimes::by_rate(const Operation& operation, const ComputeProfile& p) const {
  const auto need = [&](const Figure& figure, const char* key) {
    if (figure.known()) return figure;
    throw ConfigError("machine profile '" + machine_.name + "' lacks compute." + key + " of " +
                      p.dtype + ", which " + operation.name + " needs" + kMeasure);
  };
  if (operation.kind == OperationKind::streaming) {
    const Figure bandwidth = need(p.memory_bandwidth, "memory_bandwidth");
    const Figure share = need(p.streaming_efficiency, "streaming_efficiency");
    return {at_rate(bytes_of(operation), bandwidth, share), 0, "bandwidth", false};
  }
  const bool gemm = operation.kind == OperationKind::gemm;
  if (gemm && knows_tiles(p)) return {{gemm_seconds(p, operation)}, 0, "tiles", false};
  const Figure peak = need(p.peak_flops, "peak_flops");
  const Figure share = gemm ? need(p.gemm_efficiency, "gemm_efficiency")
                            : need(p.attention_efficiency, "attention_efficiency");
  return {at_rate(operation.flops, peak, share), 0, "peak", false};
}

KernelTime KernelTimes::of(const Operation& operation) const {
  const ComputeProfile& p = profile(operation);
  if (operation.kind == OperationKind::streaming) {
    if (const Curve* own = find_curve(p, operation)) return by_curve(operation, *own, "curve");
    if (const Curve* any = curve_of(p, "*")) return by_curve(operation, *any, "curve of any");
    return by_rate(operation, p);
  }
  const Lattice* points = lattice(operation);
  if (!points) return by_rate(operation, p);
  const Lattice::Value v = points->at(sizes_of(operation));
  return {times(v.cost, operation.flops), v.error, "points", v.inside};
}

double KernelTimes::nearest(const Operation& operation) const {
  const ComputeProfile& p = profile(operation);
  if (operation.kind != OperationKind::streaming) {
    const Lattice* points = lattice(operation);
    if (!points) return roofline(operation);
    return points->nearest(sizes_of(operation)).value * operation.flops;
  }
  const Curve* curve = find_curve(p, operation);
  if (!curve) return roofline(operation);
  const double bytes = bytes_of(operation);
  const auto distance = [&](const Point& q) { return std::abs(std::log(q.x / bytes)); };
  const Point& next =
      *std::min_element(curve->points().begin(), curve->points().end(),
                        [&](const Point& a, const Point& b) { return distance(a) < distance(b); });
  return next.y.value * bytes / next.x;
}

double KernelTimes::roofline(const Operation& operation) const {
  const ComputeProfile& p = profile(operation);
  const double compute = p.peak_flops.known() ? operation.flops / p.peak_flops.value : 0;
  const double memory =
      p.memory_bandwidth.known()
          ? (operation.bytes_read + operation.bytes_written) / p.memory_bandwidth.value
          : 0;
  return std::max(compute, memory);
}

}  // namespace lockstep
