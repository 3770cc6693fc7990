// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/pictures.hpp"

#include <algorithm>
#include <map>

namespace lockstep {

namespace {

constexpr double kStep = 1.2;  // from one point of a fitted line to the next

Series segment_line(const Segment& segment, double first, double last) {
  Series line;
  for (double n = first; n < last * kStep; n *= kStep) {
    const double at = std::min(n, last);
    line.points.push_back({at, 1e6 * (segment.alpha.value + segment.beta.value * at)});
  }
  return line;
}

void add_level(Plot& plot, const LinkProfile& link) {
  Series points{.title = link.level + ", measured", .style = Series::Style::points};
  for (const Point& p : link.messages.points())
    points.points.push_back({p.x, 1e6 * p.y.value});
  if (points.points.empty()) return;
  const double least = points.points.front().x, most = points.points.back().x;
  plot.series.push_back(std::move(points));
  for (std::size_t i = 0; i < link.segments.size(); ++i) {
    const bool last = i + 1 == link.segments.size();
    Series line = segment_line(link.segments[i], std::max(link.segments[i].from_bytes, least),
                               last ? most : link.segments[i + 1].from_bytes);
    line.title =
        link.level + ", from " + std::to_string(static_cast<long>(link.segments[i].from_bytes));
    plot.series.push_back(std::move(line));
  }
}

}  // namespace

Plot picture_of_messages(const Machine& machine) {
  Plot plot{.title = "Messages, one way: " + machine.name, .x_label = "bytes", .y_label = "us"};
  for (const LinkProfile& link : machine.links)
    add_level(plot, link);
  return plot;
}

Plot picture_of_compute(const ComputeProfile& compute) {
  Plot plot{.title = "Products, " + compute.dtype, .x_label = "FLOPs", .y_label = "GFLOP/s"};
  std::map<std::string, Series> kernels;
  double least = 1e300, most = 0;
  for (const GemmPoint& p : compute.gemm) {
    const double flops = 2 * p.m * p.n * p.k;
    kernels[p.by.empty() ? p.kernel : p.kernel + " in " + p.by].points.push_back(
        {flops, 1e-9 * flops / p.seconds.value});
    least = std::min(least, flops);
    most = std::max(most, flops);
  }
  for (auto& [name, series] : kernels) {
    series.title = name;
    series.style = Series::Style::points;
    plot.series.push_back(std::move(series));
  }
  const double peak = 1e-9 * compute.peak_flops.value;
  if (most > 0) plot.series.push_back({.title = "peak", .points = {{least, peak}, {most, peak}}});
  return plot;
}

}  // namespace lockstep
