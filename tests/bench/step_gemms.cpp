// SPDX-License-Identifier: Apache-2.0
// What the matrix products of a step alone would allow: every product that one step of the job
// launches (from its recording; attention's dense, head by head) timed by itself with the same
// library, threads and shapes. Prints JSON; tokens_per_second is a bound that no step made of these
// products exceeds.
//   step_gemms JOB.toml [section.key=value]...
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "perfmodels/calibrate/compute_rate.hpp"
#include "perfmodels/record_step.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/kernels/gemm.hpp"

using namespace lockstep;
using kernels::Into;
using kernels::Trans;

namespace {

struct Product {
  std::int64_t m, n, k;
  Trans a, b;
  Into into;
  auto operator<=>(const Product&) const = default;
};

using Counts = std::map<Product, double>;

void add_linear(Counts& counts, const Operation& op) {
  const std::string name = op.name;
  const auto [m, n, k, unused] = op.shape;
  if (name == "linear_forward") counts[{m, n, k, Trans::no, Trans::yes, Into::overwrite}] += 1;
  if (name == "linear_backward_input") {
    counts[{m, n, k, Trans::no, Trans::no, Into::overwrite}] += 1;
  }
  if (name == "linear_backward_weight") {
    counts[{m, n, k, Trans::yes, Trans::no, Into::accumulate}] += 1;
  }
}

void add_attention(Counts& counts, const Operation& op) {
  const auto [B, T, H, D] = op.shape;
  const auto heads = static_cast<double>(B * H);
  const bool forward = std::string(op.name) == "attention_forward";
  counts[{T, T, D, Trans::no, Trans::yes, Into::overwrite}] += heads;  // QK^T or dO V^T
  counts[{T, D, T, Trans::no, Trans::no, Into::overwrite}] += heads;   // PV or dS K
  if (!forward) counts[{T, D, T, Trans::yes, Trans::no, Into::overwrite}] += 2 * heads;  // dV, dK
}

double seconds_of(const Product& p) {
  const std::int64_t lda = p.a == Trans::yes ? p.m : p.k, ldb = p.b == Trans::yes ? p.k : p.n;
  const std::vector<float> a(p.m * p.k, 0.5f), b(p.k * p.n, 0.25f);
  std::vector<float> c(p.m * p.n);
  std::vector<double> times;
  const int inner = static_cast<int>(std::max(1.0, 2e8 / (2.0 * p.m * p.n * p.k)));
  for (int round = 0; round < 10; ++round) {
    const double begin = now();
    for (int i = 0; i < inner; ++i) {
      kernels::host_gemm({c.data(), p.n, p.into}, {a.data(), lda, p.a}, {b.data(), ldb, p.b}, p.m,
                         p.n, p.k);
    }
    times.push_back((now() - begin) / inner);
  }
  std::nth_element(times.begin(), times.begin() + 5, times.end());
  return times[5];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: step_gemms JOB.toml [section.key=value]...\n");
    return 2;
  }
  JobConfig job = load_job(argv[1], {argv + 2, argv + argc});
  if (job.model.vocabulary == 0) job.model.vocabulary = 256;
  const auto record = record_step(job, 1);

  Counts counts;
  for (const Record& r : record->recording.records()) {
    if (r.operation.kind == OperationKind::gemm) add_linear(counts, r.operation);
    if (r.operation.kind == OperationKind::attention) add_attention(counts, r.operation);
  }
  double seconds = 0, flops = 0;
  for (const auto& [product, times] : counts) {
    seconds += times * seconds_of(product);
    flops += times * 2.0 * product.m * product.n * product.k;
  }
  std::printf(
      "{\"products\": %zu, \"seconds\": %.6f, \"gflops_per_second\": %.1f, "
      "\"tokens_per_second\": %.1f, \"gemm_rate_gflops\": %.1f, "
      "\"fma_peak_gflops\": %.1f}\n",
      counts.size(), seconds, flops / seconds * 1e-9, static_cast<double>(record->tokens) / seconds,
      measure_gemm_rate() * 1e-9, measure_fma_peak() * 1e-9);
  return 0;
}
