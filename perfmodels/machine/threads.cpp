// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/threads.hpp"

namespace lockstep {

namespace {

void scale(Figure& figure, double factor) {
  figure = {factor * figure.value, factor * figure.low, factor * figure.high};
}

void scale(Curve& curve, double factor) {
  std::vector<Point> points = curve.points();
  for (Point& p : points)
    scale(p.y, factor);
  curve = Curve(std::move(points));
}

void scale(ComputeProfile& compute, double rate) {
  for (Figure* f : {&compute.peak_flops, &compute.memory_bandwidth, &compute.cache_bandwidth})
    scale(*f, rate);
  for (GemmPoint& p : compute.gemm)
    scale(p.seconds, 1 / rate);
  for (AttentionPoint& p : compute.attention)
    scale(p.seconds, 1 / rate);
  for (KernelCurve& c : compute.streaming)
    scale(c.seconds, 1 / rate);
}

}  // namespace

Machine with_threads(Machine machine, int threads) {
  const int measured = machine.threads_per_device;
  if (machine.device != "cpu" || threads == 0 || threads == measured) return machine;
  for (ComputeProfile& compute : machine.compute)
    scale(compute, static_cast<double>(threads) / measured);
  machine.measured_threads = measured;
  machine.threads_per_device = threads;
  return machine;
}

}  // namespace lockstep
