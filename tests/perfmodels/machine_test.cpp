// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "perfmodels/machine/notes.hpp"
#include "perfmodels/machine/profile.hpp"
#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

Machine example() {
  Machine m{
      .name = "two \"nodes\"\n\t\x01\x7F", .source = "made up", .calibrated = true, .nodes = 2};
  m.memory_bytes = 8e9;
  m.compute.push_back({.source = "made up", .peak_flops = {1e11, 9e10, 1.1e11}});
  m.compute.front().gemm.push_back({64, 128, 256, {1e-5, 9e-6, 2e-5}});
  m.compute.front().streaming.push_back({"*", Curve({{8, {1e-6}}, {4096, {2e-6, 1e-6, 3e-6}}})});
  m.links.push_back({.level = "inside", .source = "made up"});
  m.links.front().segments.push_back({0, {1e-6}, {1e-10}});
  m.links.front().loggp.L = {5e-7};
  m.links.front().sharing = "share";
  m.collectives.push_back({.source = "made up",
                           .operation = "all_reduce",
                           .label = "native/ring",
                           .ranks = 2,
                           .nodes = 1,
                           .memory = "shared",
                           .seconds = Curve(std::vector<Point>{{8, {1e-6}}})});
  m.overlap = {.source = "made up", .delay = {5e-3}};
  m.skew = {.source = "made up", .ranks = 2, .waiting = Curve(std::vector<Point>{{0.1, {1e-3}}})};
  m.drift = {.source = "made up", .compute = 0.02, .memory = 0.1};
  m.published = {.source = "made up", .least = 0.9, .most = 1.5};
  return m;
}

std::string error_of(const std::string& text) {
  try {
    parse_machine(text, "m.toml");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a profile is read back as it was written") {
  const std::string text = to_toml(example());
  INFO(text);
  const Machine m = parse_machine(text, "m.toml");
  CHECK(to_toml(m) == text);
  CHECK(m.name == example().name);
  CHECK(m.find_compute("float32")->gemm.front().seconds.high == 2e-5);
  CHECK(m.find_compute("float32")->streaming.front().seconds.points().size() == 2);
  CHECK(m.find_link("inside")->loggp.L.value == 5e-7);
  CHECK(m.find_link("inside")->sharing == "share");
  CHECK(m.find_link("across") == nullptr);
  CHECK(m.overlap.delay.value == 5e-3);
  CHECK(m.skew.waiting.points().front().y.value == 1e-3);
  CHECK(m.drift.memory == 0.1);
  CHECK(m.published.most == 1.5);
}

TEST_CASE("how far a profile's predictions may be trusted stands beside them") {
  Machine m = example();
  m.calibrated = false;
  CHECK(notes_on(m) == "Trust: " + m.name +
                           " is not calibrated: published steps took 0.90 to 1.50 times as long as "
                           "it predicts (made up)");
  m.published = {};
  CHECK(notes_on(m) ==
        "Trust: " + m.name + " is not calibrated; lockstep calibrate measures a machine");
  m.calibrated = true;
  CHECK(notes_on(m).empty());
}

TEST_CASE("what a profile cannot say is one line with file, line and key") {
  const std::string head = "[machine]\nname = 'x'\n";
  CHECK(error_of("") == "m.toml: machine.name is missing");
  CHECK(error_of("[machine]\nname = 3\n") == "m.toml:2: machine.name must be text");
  CHECK(error_of(head + "nodes = 0\n") == "m.toml:3: machine.nodes = 0 must be above 0");
  CHECK(error_of(head + "[[link]]\nlevel = 'inside'\nloggp = { L = -1e-6 }\n") ==
        "m.toml:5: link.loggp.L = -1e-06 must be at least 0");
  CHECK(error_of(head + "[[link]]\nsharing = 'halves'\n") ==
        "m.toml:4: link.sharing = halves must be queue or share");
  CHECK(error_of(head + "[[compute]]\nmemory_bandwidth = 0\n") ==
        "m.toml:4: compute.memory_bandwidth = 0 must be above 0");
  CHECK(error_of(head + "[[compute]]\ngemm_efficiency = 1.2\n") ==
        "m.toml:4: compute.gemm_efficiency = 1.2 must be above 0 and at most 1");
  CHECK(error_of(head + "[[compute]]\npeak_flops = [3, 4, 5]\n") ==
        "m.toml:4: compute.peak_flops must have low <= value <= high");
  CHECK(error_of(head + "[[link]]\nmessages = [[8, 1], [4, 2]]\n") ==
        "m.toml:4: link.messages must ascend");
  CHECK(error_of(head + "[shared]\ngama = 1\n").find("m.toml:4: shared.gama is unknown; allowed") ==
        0);
  CHECK(error_of("[machine\n").find("m.toml:1: ") == 0);
}

TEST_CASE("a curve interpolates logarithms and goes on at most in proportion") {
  const Curve curve({{10, {1}}, {1000, {100, 90, 120}}, {2000, {400}}});
  CHECK(curve.at(100) == Approx(10));
  CHECK(curve.at(1000) == Approx(100));
  CHECK(curve.figure_at(100).high == Approx(12));
  CHECK(curve.at(5) == Approx(0.5));
  CHECK(curve.at(4000) == Approx(800));
  CHECK(curve.covers(10));
  CHECK_FALSE(curve.covers(5));
}
