// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/collective_price.hpp"

#include "collectives/algorithms/table.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/simulate/networks.hpp"
#include "perfmodels/simulate/replay.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

Machine machine() {
  Machine m{.name = "made up"};
  m.links.push_back({.level = "inside"});
  m.links.back().segments = {{0, {2e-6, 1e-6, 4e-6}, {1e-9}}};
  m.links.push_back({.level = "across", .contention = {2}});
  m.links.back().segments = {{0, {1e-5}, {1e-9}}, {65536, {3e-5}, {2e-9}}};
  m.shared.gamma = {1e-10};
  m.collectives.push_back({.operation = "all_reduce",
                           .label = "native/ring",
                           .ranks = 4,
                           .nodes = 1,
                           .memory = "plain",
                           .seconds = Curve({{100, {1e-5}}, {10000, {1e-4, 9e-5, 2e-4}}})});
  return m;
}

constexpr GroupShape kFour{.ranks = 4};

}  // namespace

TEST_CASE("the constants of a profile, and where they are from") {
  const Links links = links_of(machine());
  CHECK(links.inside.alpha == 2e-6);
  CHECK(links.inside.beta == 1e-9);
  CHECK(std::string(links.inside.source) == "profile");
  CHECK(std::string(links.inside.gamma_source) == "profile");
  CHECK(std::string(links.shared.source) == "default");
  // One line for two segments, and all pairs at once.
  CHECK(links.across.alpha > 8e-6);
  CHECK(links.across.alpha < 3e-5);
  CHECK(links.across.beta > 2e-9);
  CHECK(links.across.beta <= 4.1e-9);
  CHECK(std::string(links_of({}).inside.source) == "default");
}

TEST_CASE("a measured curve of the same group comes first") {
  const Price at = price_of(machine(), Collective::all_reduce, 1000, kFour, "native/ring");
  CHECK(at.by == "curve");
  CHECK(at.in_range);
  CHECK(at.seconds.value == Approx(3.1623e-5).epsilon(1e-4));
  CHECK(at.seconds.high > at.seconds.value);
  CHECK_FALSE(price_of(machine(), Collective::all_reduce, 1e6, kFour, "native/ring").in_range);
  for (const GroupShape& other : {GroupShape{.ranks = 8}, GroupShape{.ranks = 4, .nodes = 2}}) {
    CHECK(price_of(machine(), Collective::all_reduce, 1000, other, "native/ring").by != "curve");
  }
  CHECK(price_of(machine(), Collective::all_gather, 1000, kFour, "native/ring").by != "curve");
}

TEST_CASE("without a curve the price is near the formula, with the interval of its constants") {
  const GroupShape eight{.ranks = 8};
  const Price price = price_of(machine(), Collective::all_reduce, 8000, eight, "native/ring");
  const double said =
      find_algorithm(Collective::all_reduce, "ring")->seconds(eight, 8000, links_of(machine()));
  CHECK(price.seconds.value == Approx(said));
  CHECK(price.seconds.low < said);
  CHECK(price.seconds.high > said);
  CHECK(price.in_range);
}

TEST_CASE("messages, single ranks, libraries and what cannot be served have their prices") {
  const Machine m = machine();
  const GroupShape two_nodes{.ranks = 2, .nodes = 2};
  CHECK(price_of(m, Collective::send, 1000, two_nodes, "native").seconds.value == Approx(1.1e-5));
  CHECK(price_of(m, Collective::send, 1e6, two_nodes, "native").seconds.value == Approx(2.03e-3));
  CHECK(price_of(m, Collective::all_reduce, 1000, {}, "native/ring").seconds.value == 0);
  const Price library = price_of(m, Collective::all_reduce, 1000, kFour, "mpi");
  CHECK(library.seconds.value > 0);
  CHECK_FALSE(library.in_range);
  CHECK(price_of(m, Collective::all_reduce, 1000, kFour, "native/shared_flat").by.empty());
  CHECK_FALSE(price_of({}, Collective::all_reduce, 1000, kFour, "native/ring").in_range);
}

TEST_CASE("groups and vectors too large to be replayed cost about what their replay says") {
  const Machine machine = find_machine("a100");
  for (const int nodes : {2, 8, 16}) {
    const GroupShape group{.ranks = 8 * nodes, .nodes = nodes};
    for (const double bytes : {4e6, 256e6}) {
      for (const char* name : {"ring", "recursive_halving"}) {
        INFO(name << " of " << bytes << " bytes on " << nodes << " nodes");
        const Algorithm& a = *find_algorithm(Collective::reduce_scatter, name);
        const Price price = price_of(machine, a.what, bytes, group, a.label);
        CHECK(price.by == (nodes > 8 ? "replay of fewer" : "replay"));
        const GroupCall call = priced_call(a.what, bytes, group);
        const double whole = replay(record(a, call), machine_network(machine, group)).seconds;
        CHECK(price.seconds.value == Approx(whole).epsilon(nodes > 8 ? 0.1 : 0.03));
      }
    }
  }
}
