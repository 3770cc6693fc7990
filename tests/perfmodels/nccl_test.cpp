// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/models/nccl.hpp"

#include "perfmodels/collective_price.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

constexpr NcclNetwork kNetwork{.inside = 300e9, .across = 25e9, .ports_per_gpu = 1};
constexpr GroupShape kNode{.ranks = 8};
constexpr GroupShape kTwoNodes{.ranks = 16, .nodes = 2};
constexpr GroupShape kOneOfEach{.ranks = 2, .nodes = 2};

double seconds(Collective what, double n, const GroupShape& group) {
  return nccl_seconds(what, n, group, kNetwork);
}

Machine machine() {
  Machine m{.name = "made up"};
  m.device = "cuda";
  m.devices_per_node = 8;
  m.links.push_back({.level = "inside"});
  m.links.back().segments = {{0, {2e-6}, {1 / kNetwork.inside}}};
  m.links.push_back({.level = "across", .ports = 8});
  m.links.back().segments = {{0, {4e-6}, {1 / kNetwork.across}}};
  return m;
}

}  // namespace

TEST_CASE("large vectors take the bytes of a ring at its rate, and its steps") {
  const double bytes = 2.4e9;
  CHECK(seconds(Collective::all_gather, bytes, kNode) ==
        Approx(8.4e-6 + 7 * 3.4e-6 + 7.0 / 8 * bytes / 300e9));
  CHECK(seconds(Collective::all_reduce, bytes, kNode) ==
        Approx(8.4e-6 + 14 * 3.4e-6 + 14.0 / 8 * bytes / 300e9));
  CHECK(seconds(Collective::broadcast, bytes, kNode) ==
        Approx(8.4e-6 + 8 * 3.4e-6 + bytes / 300e9));
}

TEST_CASE("between nodes a group has the ports of its ranks") {
  const double bytes = 2.4e9;
  CHECK(seconds(Collective::reduce_scatter, bytes, kTwoNodes) ==
        Approx(8.4e-6 + 14 * 3.4e-6 + 9.6e-6 + 15.0 / 16 * bytes / 200e9));
  CHECK(seconds(Collective::reduce_scatter, bytes, kOneOfEach) ==
        Approx(8.4e-6 + 9.6e-6 + 0.5 * bytes / 25e9));
  // Of eight ranks in two nodes each sends half to the other node, through four ports.
  const GroupShape eight{.ranks = 8, .nodes = 2};
  CHECK(seconds(Collective::all_to_all, bytes, eight) ==
        Approx(8.4e-6 + 9.6e-6 + 0.5 * bytes / 25e9));
}

TEST_CASE("small vectors take the protocol of the least latency, and trees where there are nodes") {
  CHECK(seconds(Collective::all_reduce, 8, kNode) == Approx(3.6e-6 + 14 * 0.47e-6).epsilon(1e-3));
  const GroupShape many{.ranks = 512, .nodes = 64};
  CHECK(seconds(Collective::all_reduce, 8, many) ==
        Approx(4.4e-6 + 14 * 1.8 * 0.52e-6 + 12 * 5e-6).epsilon(1e-3));
  CHECK(seconds(Collective::barrier, 0, kNode) == Approx(10.18e-6).epsilon(1e-3));
  CHECK(seconds(Collective::all_reduce, 1e9, {.ranks = 1}) == 0);
}

TEST_CASE("GPUs have NCCL's prices unless it was measured") {
  Machine m = machine();
  const auto price = [&](const char* label) {
    return price_of(m, Collective::all_gather, 1e8, kTwoNodes, label);
  };
  const double said = seconds(Collective::all_gather, 1e8, kTwoNodes);
  for (const char* label : {"nccl", ""}) {
    CHECK(price(label).by == "NCCL's model");
    CHECK(price(label).seconds.value == Approx(said));
    CHECK_FALSE(price(label).in_range);
  }
  CHECK(price("native/ring").by == "replay");
  CHECK(price("native/ring").seconds.value > 3 * said);  // one port of eight

  m.collectives.push_back({.operation = "all_gather",
                           .label = "nccl",
                           .ranks = 16,
                           .nodes = 2,
                           .memory = "plain",
                           .seconds = Curve({{1e7, {1e-3}}, {1e9, {1e-1}}})});
  CHECK(price("nccl").by == "curve");
  m.collectives.clear();
  m.device = "cpu";
  CHECK(price("").by != "NCCL's model");
}
