// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/roofline.hpp"

#include <algorithm>
#include <cmath>

#include "collectives/call.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

KernelRoof& kernel_named(std::vector<KernelRoof>& kernels, const Operation& operation) {
  for (KernelRoof& k : kernels) {
    if (k.name == operation.name) return k;
  }
  return kernels.emplace_back(KernelRoof{.name = operation.name, .kind = operation.kind});
}

bool computes(OperationKind kind) {
  return kind != OperationKind::collective && kind != OperationKind::phase;
}

// What each of p ranks, or nodes, sends at least of n bytes: the bound that the best algorithms
// reach (MPI's collectives; Chan et al. 2007).
double sent_share(const std::string& name, double p) {
  if (p <= 1) return 0;
  if (name == "all_reduce") return 2 * (p - 1) / p;
  if (name == "barrier") return 0;
  const bool once = name == "broadcast" || name == "reduce" || name == "send" || name == "receive";
  return once ? 1 : (p - 1) / p;
}

double full_bytes(const Operation& op) {
  return std::max(op.bytes_read, op.bytes_written);
}

double port_bandwidth(const LinkProfile& link) {
  if (!link.segments.empty() && link.segments.back().beta.known()) {
    return link.ports / link.segments.back().beta.value;
  }
  return link.loggp.G.known() ? link.ports / link.loggp.G.value : 0;
}

const ComputeProfile& compute_of(const Machine& machine, const std::string& dtype) {
  const ComputeProfile* c = machine.find_compute(dtype);
  if (!c || !c->peak_flops.known() || !c->memory_bandwidth.known()) {
    throw ConfigError("the profile '" + machine.name +
                      "' lacks peak_flops and memory_bandwidth of " + "[[compute]] dtype = \"" +
                      dtype + "\"; `lockstep calibrate` measures them");
  }
  return *c;
}

void add_link_roof(Roofline& roofline, const Recording& recording, const LinkProfile* link,
                   int members, int ranks_of_each) {
  if (!link || members <= 1 || port_bandwidth(*link) <= 0) return;
  LinkRoof roof{.level = link->level, .bandwidth = port_bandwidth(*link)};
  // Inside a node each rank has its share of the ports.
  if (link->level == "inside") roof.bandwidth /= std::max(link->ports, 1.0);
  for (const Record& r : recording.records()) {
    const Operation& op = r.operation;
    if (computes(op.kind)) roof.flops += op.flops * ranks_of_each;
    if (op.kind == OperationKind::collective && op.ranks > 1) {
      roof.bytes += full_bytes(op) * sent_share(op.name, members);
    }
  }
  if (roof.bytes > 0) roofline.links.push_back(roof);
}

}  // namespace

double KernelRoof::attainable_seconds() const {
  return std::max(compute_seconds, memory_seconds);
}

KernelRoof Roofline::sum() const {
  KernelRoof sum{.name = "total"};
  for (const KernelRoof& k : kernels) {
    sum.launches += k.launches;
    sum.flops += k.flops;
    sum.bytes += k.bytes;
    sum.compute_seconds += k.compute_seconds;
    sum.memory_seconds += k.memory_seconds;
    sum.attained_seconds += k.attained_seconds;
  }
  return sum;
}

Roofline roofline_of(const Recording& recording, int ranks, const Machine& machine,
                     const std::string& dtype) {
  const ComputeProfile& compute = compute_of(machine, dtype);
  Roofline roofline{.machine = machine.name,
                    .dtype = dtype,
                    .peak_flops = compute.peak_flops.value,
                    .memory_bandwidth = compute.memory_bandwidth.value,
                    .ranks = ranks};
  const int per_node = std::min(ranks, machine.devices_per_node);
  roofline.nodes = (ranks + per_node - 1) / per_node;
  for (const Record& r : recording.records()) {
    const Operation& op = r.operation;
    if (!computes(op.kind)) continue;
    KernelRoof& kernel = kernel_named(roofline.kernels, op);
    ++kernel.launches;
    kernel.flops += op.flops;
    kernel.bytes += op.bytes_read + op.bytes_written;
  }
  for (KernelRoof& kernel : roofline.kernels) {
    kernel.compute_seconds = kernel.flops / roofline.peak_flops;
    kernel.memory_seconds = kernel.bytes / roofline.memory_bandwidth;
  }
  add_link_roof(roofline, recording, machine.find_link("inside"), per_node, 1);
  add_link_roof(roofline, recording, machine.find_link("across"), roofline.nodes, per_node);
  return roofline;
}

Plot plot_of(const Roofline& r) {
  double low = r.ridge() / 4, high = r.ridge() * 4;
  Series kernels{.title = "kernels, attainable", .style = Series::Style::points};
  Series attained{.title = "kernels, attained", .style = Series::Style::points};
  for (const KernelRoof& k : r.kernels) {
    if (k.flops <= 0 || k.bytes <= 0) continue;
    low = std::min(low, k.intensity() / 2);
    high = std::max(high, k.intensity() * 2);
    const bool measured = k.attained_seconds > 0;
    kernels.points.push_back(
        {k.intensity(), k.flops / k.attainable_seconds() * 1e-9, measured ? "" : k.name});
    if (measured) {
      attained.points.push_back({k.intensity(), k.flops / k.attained_seconds * 1e-9, k.name});
    }
  }
  for (const LinkRoof& link : r.links)
    high = std::max(high, link.intensity() * 2);

  const auto roof = [&](const std::string& title, double bandwidth) {
    Series line{.title = title};
    const double corner = r.peak_flops / bandwidth;
    line.points.push_back({low, std::min(low * bandwidth, r.peak_flops) * 1e-9});
    if (corner > low && corner < high) line.points.push_back({corner, r.peak_flops * 1e-9});
    line.points.push_back({high, std::min(high * bandwidth, r.peak_flops) * 1e-9});
    return line;
  };
  Plot plot{.title = format("%s, %s: %.4g GFLOP/s", r.machine.c_str(), r.dtype.c_str(),
                            r.peak_flops * 1e-9),
            .x_label = "FLOPs per byte (of memory; of a link: per byte sent)",
            .y_label = "GFLOP/s of a rank"};
  plot.series.push_back(
      roof(format("memory, %.4g GB/s", r.memory_bandwidth * 1e-9), r.memory_bandwidth));
  for (const LinkRoof& link : r.links) {
    const int ranks = link.level == "inside" ? 1 : std::max(r.ranks / r.nodes, 1);
    const double bandwidth = link.bandwidth / ranks;
    plot.series.push_back(
        roof(format("%s, %.4g GB/s per rank", link.level.c_str(), bandwidth * 1e-9), bandwidth));
    plot.series.push_back(
        {"",
         Series::Style::points,
         {{link.intensity(), std::min(link.intensity() * bandwidth, r.peak_flops) * 1e-9,
           "the step, " + link.level}}});
  }
  plot.series.push_back(std::move(kernels));
  if (!attained.points.empty()) plot.series.push_back(std::move(attained));
  return plot;
}

}  // namespace lockstep
