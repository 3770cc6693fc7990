// SPDX-License-Identifier: Apache-2.0
#include "launch/calibrate_report.hpp"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "collectives/sizes.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

std::string percent(const Figure& f) {
  return f.high > 0 ? format("+- %.1f %%", 100 * f.spread()) : "";
}

std::string line(const std::string& name, double value, const char* unit, const Figure& f) {
  if (!f.known()) return "";
  return format("  %-32s %12.4g %-8s %s\n", name.c_str(), value, unit, percent(f).c_str());
}
std::string micro(const std::string& name, const Figure& f) {
  return line(name, 1e6 * f.value, "us", f);
}
std::string rate(const std::string& name, const Figure& f) {
  return line(name, 1e-9 / f.value, "GB/s", f);
}

std::string share_of_peak(const std::map<std::string, std::vector<double>>& rates, double peak) {
  std::string text;
  for (const auto& [name, all] : rates) {
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    text += format("  %-32s %4.0f to %.0f %% of the peak, %zu shapes\n", name.c_str(),
                   100 * *least / peak, 100 * *most / peak, all.size());
  }
  return text;
}

std::string compute_text(const ComputeProfile& c) {
  std::string text = "\ncompute, " + c.dtype + ", every rank at once\n";
  text += line("peak", 1e-9 * c.peak_flops.value, "GFLOP/s", c.peak_flops);
  text += line("memory bandwidth", 1e-9 * c.memory_bandwidth.value, "GB/s", c.memory_bandwidth);
  text += micro("launch of a kernel", c.launch);
  std::map<std::string, std::vector<double>> rates;
  for (const GemmPoint& p : c.gemm)
    rates[p.by.empty() ? p.kernel : p.kernel + " in " + p.by].push_back(2 * p.m * p.n * p.k /
                                                                        p.seconds.value);
  text += share_of_peak(rates, c.peak_flops.value);
  text += format("  %-32s %12zu shapes\n", "attention", c.attention.size());
  text += format("  %-32s %12zu curves\n", "streaming kernels", c.streaming.size());
  return text;
}

std::string link_text(const LinkProfile& link, const LinkFit& fit) {
  std::string text = "\nmessages " + link.level + " nodes\n";
  if (link.level == "inside") text = "\nmessages inside a node\n";
  if (link.level == "across") text = "\nmessages between nodes\n";
  for (const Segment& s : link.segments) {
    text += format("  from %-9s %12.3f us %+11.3f us/KiB   alpha %s\n",
                   bytes_text(static_cast<std::size_t>(s.from_bytes)).c_str(), 1e6 * s.alpha.value,
                   1e6 * 1024 * s.beta.value, percent(s.alpha).c_str());
  }
  text += format("  %-32s median %.1f %%, worst %.1f %%\n", "error of these lines",
                 100 * fit.median_error, 100 * fit.worst_error);
  if (link.rendezvous_bytes > 0) {
    text += format("  %-32s %12s\n", "wait for their receiver above",
                   bytes_text(static_cast<std::size_t>(link.rendezvous_bytes)).c_str());
  }
  text += micro("L", link.loggp.L) + micro("o_send", link.loggp.o_send) +
          micro("o_recv", link.loggp.o_recv) + micro("g", link.loggp.g) +
          rate("1 / G", link.loggp.G);
  return text + line("all pairs at once / alone", link.contention.value, "", link.contention);
}

std::string shared_text(const SharedProfile& s) {
  return "\nlocal steps of collectives\n" + rate("gamma, bytes reduced", s.gamma) +
         micro("sync, per rank", s.sync) + micro("sync, more ranks than cores", s.crowded_sync) +
         rate("copy", s.copy) + rate("reduce", s.reduce) + rate("stage", s.stage) +
         micro("reach", s.reach) + rate("fetch", s.fetch);
}

// Who is fastest where: one line for each operation and kind of memory.
std::string collectives_text(const std::vector<CollectiveCurve>& curves) {
  std::map<std::string, std::map<double, std::pair<double, std::string>>> best;
  for (const CollectiveCurve& curve : curves) {
    for (const Point& p : curve.seconds.points()) {
      auto& at = best[curve.operation + ", " + curve.memory][p.x];
      if (at.second.empty() || p.y.value < at.first) at = {p.y.value, curve.label};
    }
  }
  std::string text = "\ncollectives: the fastest candidate from each size on\n";
  for (const auto& [name, sizes] : best) {
    text += format("  %-24s", name.c_str());
    std::string last;
    for (const auto& [bytes, at] : sizes) {
      if (at.second == last) continue;
      text +=
          format(" %s %s", bytes_text(static_cast<std::size_t>(bytes)).c_str(), at.second.c_str());
      last = at.second;
    }
    text += "\n";
  }
  return text;
}

Json figure_json(const Figure& f) {
  if (!f.known()) return nullptr;
  return {{"value", f.value}, {"low", f.low}, {"high", f.high}};
}

Json states_json(const std::vector<MachineState>& states) {
  Json all = Json::array();
  for (const MachineState& s : states)
    all.push_back({{"least", s.least}, {"most", s.most}, {"share", s.share}});
  return all;
}

Json link_json(const LinkProfile& link, const LinkFit& fit) {
  Json segments = Json::array();
  for (const Segment& s : link.segments) {
    segments.push_back({{"from_bytes", s.from_bytes},
                        {"alpha", figure_json(s.alpha)},
                        {"beta", figure_json(s.beta)}});
  }
  return {{"level", link.level},
          {"segments", segments},
          {"median_error", fit.median_error},
          {"worst_error", fit.worst_error},
          {"rendezvous_bytes", link.rendezvous_bytes},
          {"L", figure_json(link.loggp.L)},
          {"o_send", figure_json(link.loggp.o_send)},
          {"o_recv", figure_json(link.loggp.o_recv)},
          {"g", figure_json(link.loggp.g)},
          {"G", figure_json(link.loggp.G)},
          {"contention", figure_json(link.contention)}};
}

std::string skew_text(const SkewProfile& skew) {
  const Point& longest = skew.waiting.points().back();
  return format(
      "\nafter %.0f ms of computing the average rank waits %.2f ms for the slowest, 90 %% of the "
      "time %.2f to %.2f ms\n",
      1e3 * longest.x, 1e3 * longest.y.value, 1e3 * longest.y.low, 1e3 * longest.y.high);
}

constexpr double kSteady = 0.1;  // drift of what is within caches

std::string drift_text(const DriftProfile& drift) {
  const auto share = [](double of) {
    return of > 0 ? format("+- %.1f %%", 100 * of) : std::string("not known (one round only)");
  };
  std::string text = "\nwhat one more round would change, in 9 of 10: compute " +
                     share(drift.compute) + ", memory " + share(drift.memory) + ", collectives " +
                     share(drift.collectives) + "\n";
  if (drift.compute > kSteady)
    text += "the machine was busy with something else meanwhile: calibrate once more\n";
  return text;
}

// Of a machine that was in one state, nothing.
std::string states_text(const std::vector<MachineState>& states) {
  if (states.empty() || states.front().share == 1) return "";
  std::string text = "\nstates of the machine; figures are of the first\n";
  for (const MachineState& s : states)
    text += format("  ranks meet in %.2f to %.2f us: %.1f %% of the visits\n", 1e6 * s.least,
                   1e6 * s.most, 100 * s.share);
  return text;
}

}  // namespace

std::string calibration_text(const Calibration& c) {
  const Machine& m = c.machine;
  std::string text = m.name + format(", %d thread%s each\n", m.threads_per_device,
                                     m.threads_per_device == 1 ? "" : "s");
  for (const ComputeProfile& compute : m.compute)
    text += compute_text(compute);
  for (std::size_t i = 0; i < m.links.size(); ++i)
    text += link_text(m.links[i], c.fits[i]);
  if (!m.links.empty()) text += shared_text(m.shared);
  if (!m.collectives.empty()) text += collectives_text(m.collectives);
  if (m.overlap.compute_slowdown.known()) {
    text += "\ncomputing and communicating at once takes longer by\n";
    text += line("compute", m.overlap.compute_slowdown.value, "times", m.overlap.compute_slowdown);
    text += line("communication", m.overlap.communication_slowdown.value, "times",
                 m.overlap.communication_slowdown);
    text += micro("before it begins", m.overlap.delay);
  }
  if (!m.skew.waiting.empty()) text += skew_text(m.skew);
  text += drift_text(m.drift);
  text += states_text(c.states);
  if (!c.left_out.empty()) text += "\nleft out; sizes took too long for --seconds\n";
  for (const std::string& item : c.left_out)
    text += "  " + item + "\n";
  return text + format("\n%zu measurements, %zu samples, %d of them far out (kept), %.1f s\n",
                       c.measurements, c.samples, c.outliers, c.seconds);
}

std::string calibration_json(const Calibration& c, const std::string& profile,
                             const std::string& plot) {
  const Machine& m = c.machine;
  Json links = Json::array();
  for (std::size_t i = 0; i < m.links.size(); ++i)
    links.push_back(link_json(m.links[i], c.fits[i]));
  const ComputeProfile& compute = m.compute.front();
  const Json all = {{"machine", m.name},
                    {"profile", profile},
                    {"plot", plot.empty() ? Json(nullptr) : Json(plot)},
                    {"ranks", m.nodes * m.devices_per_node},
                    {"nodes", m.nodes},
                    {"peak_flops", compute.peak_flops.value},
                    {"memory_bandwidth", figure_json(compute.memory_bandwidth)},
                    {"launch", figure_json(compute.launch)},
                    {"gemm_shapes", compute.gemm.size()},
                    {"streaming_curves", compute.streaming.size()},
                    {"links", links},
                    {"gamma", figure_json(m.shared.gamma)},
                    {"collective_curves", m.collectives.size()},
                    {"compute_slowdown", figure_json(m.overlap.compute_slowdown)},
                    {"communication_slowdown", figure_json(m.overlap.communication_slowdown)},
                    {"states", states_json(c.states)},
                    {"left_out", c.left_out},
                    {"measurements", c.measurements},
                    {"samples", c.samples},
                    {"outliers", c.outliers},
                    {"seconds", c.seconds}};
  return all.dump(2) + "\n";
}

}  // namespace lockstep
