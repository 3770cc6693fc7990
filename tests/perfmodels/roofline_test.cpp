// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/roofline.hpp"

#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;

namespace {

// Ridge at 10 FLOPs per byte; nodes of 2; a node sends 4 bytes/s through two ports of 2.
Machine machine() {
  Machine m{.name = "m", .devices_per_node = 2};
  m.compute.push_back({.peak_flops = {1000}, .memory_bandwidth = {100}});
  m.links.push_back({.level = "inside", .segments = {{0, {1}, {0.1}}}, .ports = 2});
  m.links.push_back({.level = "across", .segments = {{0, {1}, {0.5}}}, .ports = 2});
  return m;
}

// Two products at 20 FLOPs per byte, an elementwise kernel at 1, an all-reduce of 60 bytes.
void fill(Recording& recording, int ranks) {
  const Operation product{.name = "product",
                          .kind = OperationKind::gemm,
                          .flops = 4000,
                          .bytes_read = 150,
                          .bytes_written = 50};
  recording.add(product, StreamKind::compute);
  recording.add(product, StreamKind::compute);
  recording.add({.name = "add", .flops = 100, .bytes_read = 60, .bytes_written = 40},
                StreamKind::compute);
  recording.add({.name = "all_reduce",
                 .kind = OperationKind::collective,
                 .bytes_read = 60,
                 .bytes_written = 60,
                 .ranks = ranks},
                StreamKind::communication);
  recording.add({.name = "forward", .kind = OperationKind::phase}, StreamKind::compute);
}

std::string event(const char* name, const char* kind, double flops, double micros) {
  return "{\"name\":\"" + std::string(name) + "\",\"cat\":\"" + kind +
         "\",\"ph\":\"X\",\"dur\":" + std::to_string(micros) +
         ",\"args\":{\"flops\":" + std::to_string(flops) + "}}";
}

std::string trace(double flops) {
  return "{\"traceEvents\":[{\"ph\":\"M\"}," + event("product", "gemm", flops, 6e6) + "," +
         event("product", "gemm", flops, 4e6) + "," + event("add", "streaming", 100, 2e6) + "," +
         event("all_reduce", "collective", 0, 9e6) + "," + event("update", "phase", 0, 1) + "]}";
}

}  // namespace

TEST_CASE("a kernel is bound by the peak or by the memory") {
  Recording recording;
  fill(recording, 1);
  const Roofline r = roofline_of(recording, 1, machine(), "float32");
  CHECK(r.ridge() == Approx(10));
  REQUIRE(r.kernels.size() == 2);
  const KernelRoof &product = r.kernels[0], &add = r.kernels[1];
  CHECK(product.launches == 2);
  CHECK(product.intensity() == Approx(20));
  CHECK(product.attainable_seconds() == Approx(8));
  CHECK(std::string(product.bound()) == "compute");
  CHECK(add.attainable_seconds() == Approx(1));
  CHECK(std::string(add.bound()) == "memory");
  CHECK(r.sum().flops == Approx(8100));
  CHECK(r.links.empty());
}

TEST_CASE("each level of links is a roof of its own") {
  Recording recording;
  fill(recording, 4);
  const Roofline r = roofline_of(recording, 4, machine(), "float32");
  REQUIRE(r.links.size() == 2);
  // Among the 2 ranks of a node a ring sends 2 (2-1)/2 x 60 bytes, over a rank's own 10 bytes/s.
  CHECK(r.links[0].bytes == Approx(60));
  CHECK(r.links[0].seconds() == Approx(6));
  CHECK(r.links[0].intensity() == Approx(8100.0 / 60));
  // Among 2 nodes as many, for the FLOPs of both ranks, over both ports.
  CHECK(r.links[1].bytes == Approx(60));
  CHECK(r.links[1].seconds() == Approx(15));
  CHECK(r.links[1].intensity() == Approx(2 * 8100.0 / 60));
}

TEST_CASE("what was attained is read from the trace of the same job") {
  const test::TempDir folder;
  Recording recording;
  fill(recording, 1);
  Roofline r = roofline_of(recording, 1, machine(), "float32");
  folder.write("trace.json", trace(4000));
  add_attained(r, folder.path());
  CHECK(r.kernels[0].attained_seconds == Approx(10));
  CHECK(r.kernels[1].attained_seconds == Approx(2));

  const auto message = [&](const std::string& file) {
    return test::config_error([&] { add_attained(r, file); });
  };
  CHECK(test::contains(message(folder.write("other.json", trace(3000))), "trace of another job"));
  CHECK(test::contains(message(folder.write("text.json", "no")), "is not a trace"));
  CHECK(test::contains(message(folder.path("none.json")), "job.trace_steps"));
}

TEST_CASE("the plot has a line per roof and a point per kernel") {
  Recording recording;
  fill(recording, 4);
  const Plot plot = plot_of(roofline_of(recording, 4, machine(), "float32"));
  const std::string script = gnuplot_script(plot, "x.svg");
  for (const char* part : {"memory, ", "inside, ", "across, ", "product", "add"})
    CHECK(test::contains(script, part));
}

TEST_CASE("a profile without the type says which entry it lacks") {
  Recording recording;
  CHECK(
      test::config_error([&] { roofline_of(recording, 1, machine(), "bfloat16"); }) ==
      "the profile 'm' lacks peak_flops and memory_bandwidth of [[compute]] dtype = \"bfloat16\"; "
      "`lockstep calibrate` measures them");
}
