// SPDX-License-Identifier: Apache-2.0
// Prices of kernels: at measured points, between them, beyond them, and without them.
#include "perfmodels/kernel_time.hpp"

#include "perfmodels/machine/notes.hpp"
#include "perfmodels/machine/threads.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;

namespace {

// A kernel of 1 us and 1/(mnk) of 1e-11 s a FLOP, interacting sizes left out.
double cost(double m, double n, double k) {
  return 1e-11 * (1 + 8 / m) * (1 + 4 / n) * (1 + 2 / k);
}

std::vector<Lattice::Sample> samples(double most_product) {
  std::vector<Lattice::Sample> all;
  for (const double m : {32, 128, 512}) {
    for (const double n : {32, 128, 512}) {
      for (const double k : {32, 128, 512}) {
        const double c = cost(m, n, k);
        if (m * n * k <= most_product) all.push_back({{m, n, k}, {c, 0.9 * c, 1.1 * c}});
      }
    }
  }
  return all;
}

Operation product(std::int64_t m, std::int64_t n, std::int64_t k) {
  return {.name = "linear_forward",
          .kind = OperationKind::gemm,
          .shape = {m, n, k},
          .flops = 2.0 * static_cast<double>(m * n * k)};
}

Machine machine() {
  Machine m{.name = "test", .calibrated = true};
  ComputeProfile p{.peak_flops = {1e11},
                   .memory_bandwidth = {1e10},
                   .gemm_efficiency = {0.5},
                   .streaming_efficiency = {0.8}};
  p.streaming.push_back({"add", Curve({{1e3, {1e-6, 0.9e-6, 1.2e-6}}, {1e6, {1e-3}}})});
  m.compute.push_back(p);
  return m;
}

}  // namespace

TEST_CASE("a lattice gives back its points, with their intervals") {
  const Lattice lattice(samples(1e9));
  for (const Lattice::Sample& s : samples(1e9)) {
    const Lattice::Value v = lattice.at(s.at);
    CHECK(v.cost.value == Approx(s.cost.value));
    CHECK(v.cost.spread() == Approx(0.1));
    CHECK(v.error == 0);
    CHECK(v.inside);
  }
}

TEST_CASE("between points, logarithms are interpolated; what that misses is told") {
  const Lattice::Value v = Lattice(samples(1e9)).at({64, 64, 64});
  CHECK(v.cost.value == Approx(cost(64, 64, 64)).epsilon(0.05));
  CHECK(v.inside);
  CHECK(v.error > 0.005);
  CHECK(v.error < 0.05);
}

TEST_CASE("a corner that was not measured is what its neighbours say") {
  const Lattice lattice(samples(128 * 512 * 512));  // not 512^3
  const Lattice::Value corner = lattice.at({512, 512, 512});
  CHECK(corner.cost.value == Approx(cost(512, 512, 512)));  // sizes do not interact
  CHECK_FALSE(corner.inside);
  CHECK(lattice.at({512, 512, 128}).inside);
}

TEST_CASE("beyond the ends the cost stays, and it is said") {
  const Lattice lattice(samples(1e9));
  CHECK(lattice.at({4096, 128, 128}).cost.value == Approx(cost(512, 128, 128)));
  CHECK_FALSE(lattice.at({4096, 128, 128}).inside);
  CHECK_FALSE(lattice.at({16, 128, 128}).inside);
}

TEST_CASE("a product is priced by points of its own kernel, else of any, else by the peak") {
  Machine m = machine();
  const auto price = [&] { return KernelTimes(m).of(product(64, 64, 64)); };
  CHECK(price().by == std::string("peak"));
  CHECK(price().seconds.value == Approx(2.0 * 64 * 64 * 64 / (0.5 * 1e11)));
  CHECK_FALSE(price().in_range);

  m.compute[0].gemm.push_back({64, 64, 64, {1e-3}, ""});
  CHECK(price().by == std::string("points"));
  CHECK(price().seconds.value == Approx(1e-3));
  CHECK(price().in_range);
  m.compute[0].gemm.push_back({64, 64, 64, {2e-3}, "linear_forward"});
  CHECK(price().seconds.value == Approx(2e-3));
}

TEST_CASE("a streaming kernel goes by its curve, else by the bandwidth") {
  const Machine m = machine();
  const KernelTimes times(m);
  const KernelTime on = times.of({.name = "add", .bytes_read = 600, .bytes_written = 400});
  CHECK(on.seconds.value == Approx(1e-6));
  CHECK(on.seconds.high == Approx(1.2e-6));
  CHECK(on.in_range);
  CHECK_FALSE(times.of({.name = "add", .bytes_read = 1e8}).in_range);
  const KernelTime other = times.of({.name = "copy", .bytes_read = 8e6});
  CHECK(other.seconds.value == Approx(1e-3));
  CHECK_FALSE(other.in_range);
}

TEST_CASE("what the profile lacks is named, with what measures it") {
  Machine m = machine();
  Operation half = product(64, 64, 64);
  half.dtype = DType::bfloat16;
  CHECK(test::config_error([&] { KernelTimes(m).of(half); }) ==
        "machine profile 'test' has no [[compute]] with dtype = \"bfloat16\", which linear_forward "
        "needs; `mpirun ... lockstep calibrate` measures it");
  m.compute[0].gemm_efficiency = {};
  CHECK(test::config_error([&] { KernelTimes(m).of(product(64, 64, 64)); }) ==
        "machine profile 'test' lacks compute.gemm_efficiency of float32, which linear_forward "
        "needs; `mpirun ... lockstep calibrate` measures it");
}

TEST_CASE(
    "ranks with other threads than the profile's compute at rates in proportion, and it says so") {
  Machine four = machine();
  four.threads_per_device = 4;
  four.compute.front().gemm.push_back({512, 512, 512, {1e-3, 0.9e-3, 1.2e-3}});
  const Operation add{.name = "add", .bytes_read = 5000};
  for (const int threads : {1, 2, 8}) {
    const Machine other = with_threads(four, threads);
    CHECK(other.threads_per_device == threads);
    CHECK_FALSE(other.measured());
    CHECK(notes_on(other).find("of 4 threads") != std::string::npos);
    for (const Operation& o : {add, product(512, 512, 512)}) {
      const Figure before = KernelTimes(four).of(o).seconds;
      const Figure after = KernelTimes(other).of(o).seconds;
      CHECK(after.value == Approx(before.value * 4 / threads));
      CHECK(after.spread() == Approx(before.spread()));
    }
    CHECK(other.compute.front().peak_flops.value == Approx(1e11 * threads / 4));
  }
  for (const int same : {0, 4}) {
    CHECK(with_threads(four, same).measured());
    CHECK(notes_on(with_threads(four, same)).empty());
  }
  four.device = "cuda";
  CHECK(with_threads(four, 1).measured());
}
