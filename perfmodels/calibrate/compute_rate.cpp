// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/compute_rate.hpp"

#include <algorithm>
#include <vector>

#include <omp.h>

#include "runtime/base/clock.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/linear.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

namespace {

using Vector = float __attribute__((vector_size(64)));
constexpr int kChains = 12;  // independent, to cover the latency of an FMA

// Keeps the compiler from computing the loop away.
void keep(Vector& v) {
  asm volatile("" : "+m"(v));
}

double fma_flops(int rounds) {
  Vector a[kChains], x = {}, y = {};
  x += 0.999f;
  y += 1e-3f;
  for (Vector& v : a)
    v = x;
  for (int r = 0; r < rounds; ++r) {
    for (Vector& v : a)
      v = v * x + y;
  }
  for (Vector& v : a)
    keep(v);
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  return 2.0 * rounds * kChains * kWidth;
}

}  // namespace

double measure_gemm_rate(double seconds) {
  constexpr std::int64_t n = 1024;
  const std::vector<float> a(n * n, 0.5f), b(n * n, 0.25f);
  std::vector<float> c(n * n);
  const auto product = [&] {
    kernels::host_gemm({c.data(), n}, {a.data(), n}, {b.data(), n, kernels::Trans::yes}, n, n, n);
  };
  product();  // warm-up: threads, code, pages
  double best = 0;
  for (const double end = now() + seconds; best == 0 || now() < end;) {
    const double begin = now();
    product();
    best = std::max(best, 2.0 * n * n * n / (now() - begin));
  }
  return best;
}

namespace {

// The fastest of the products of n^3 that fit into `seconds`, at least one: their seconds.
double shortest_product(Device& device, std::int64_t n, double seconds) {
  Stream& stream = device.compute();
  const DType dtype = device.numerics().values;
  Tensor a = Tensor::empty(device, {n, n}, dtype), b = Tensor::empty(device, {n, n}, dtype),
         c = Tensor::empty(device, {n, n}, dtype);
  // As numbers of a model: constants would draw less power and run faster.
  kernels::fill_normal(a, 1.0f, 1, stream);
  kernels::fill_normal(b, 0.02f, 2, stream);
  const auto product = [&] { kernels::linear_forward(c, a, b, {}, stream); };
  stream.seconds_of(product);  // warm-up: plan, code
  double shortest = 0;
  for (const double end = now() + seconds; shortest == 0 || now() < end;) {
    const double once = stream.seconds_of(product);
    shortest = shortest == 0 ? once : std::min(shortest, once);
  }
  return shortest;
}

}  // namespace

double measure_gemm_rate(Device& device, double seconds) {
  if (device.kind() != DeviceKind::cuda) return measure_gemm_rate(seconds);
  constexpr std::int64_t kSmallest = 256, kLargest = 8192;
  constexpr double kLongEnough = 1e-3;
  std::int64_t n = kSmallest;
  double shortest = shortest_product(device, n, 0);
  while (n < kLargest && shortest < kLongEnough)
    shortest = shortest_product(device, n *= 2, 0);
  shortest = std::min(shortest, shortest_product(device, n, seconds));
  return 2.0 * n * n * n / shortest;
}

double measure_fma_peak(double seconds) {
  constexpr int kRounds = 200000;
  double best = 0;
  for (const double end = now() + seconds; best == 0 || now() < end;) {
    const double begin = now();
    double flops = 0;
#pragma omp parallel reduction(+ : flops)
    flops += fma_flops(kRounds);
    best = std::max(best, flops / (now() - begin));
  }
  return best;
}

}  // namespace lockstep
