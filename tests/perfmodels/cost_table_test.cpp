// SPDX-License-Identifier: Apache-2.0
// What collectives choose where a job names a machine.
#include "perfmodels/cost_table.hpp"

#include "collectives/backends/dry.hpp"
#include "collectives/sample_call.hpp"
#include "collectives/select.hpp"
#include "perfmodels/collective_price.hpp"
#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

CollectiveCurve curve(const std::string& label, double seconds) {
  return {.operation = "all_reduce",
          .label = label,
          .ranks = 4,
          .nodes = 1,
          .memory = "plain",
          .seconds = Curve({{100, {seconds}}, {10000, {seconds * 10}}})};
}

// Two nodes of four devices that share no memory.
Machine machine() {
  Machine m{.name = "made up", .nodes = 2, .devices_per_node = 4, .cores_per_node = 4};
  m.links.push_back({.level = "inside", .segments = {{0, {1e-6}, {1e-10}}}});
  m.links.push_back({.level = "across", .segments = {{0, {2e-5}, {1e-9}}}});
  return m;
}

Call call_of(Collective what, std::size_t bytes, int ranks) {
  return Sample{.what = what, .count = bytes / 4, .ranks = ranks}.in_place(nullptr);
}

CommunicatorOptions options_of(const Machine& m) {
  return {.costs = cost_table_of(m)};
}

}  // namespace

TEST_CASE("measured prices decide before formulas, and the library is one of the candidates") {
  Machine m = machine();
  m.collectives = {curve("native/binomial", 1e-7), curve("mpi", 2e-7)};
  const Call call = call_of(Collective::all_reduce, 1000, 4);
  const auto of_four = [&] { return dry::make(4, 0, options_of(m)); };
  CHECK(std::string(of_four()->choose(call).label) == "native/binomial");
  CHECK(of_four()->choose(call).seconds == Approx(1e-7 * std::sqrt(10)));
  m.collectives[1] = curve("mpi", 5e-8);
  CHECK(std::string(of_four()->choose(call).label) == "mpi");
  CHECK(std::string(of_four()->candidates(call)[1].label) == "native/binomial");
  // Other groups and operations go by formula, and know no price of the library.
  const auto two = dry::make(2, 0, options_of(m));
  CHECK(two->candidates(call_of(Collective::all_reduce, 1000, 2)).front().seconds > 1e-7);
  for (const Choice& choice : of_four()->candidates(call_of(Collective::broadcast, 1000, 4)))
    CHECK(std::string(choice.label) != "mpi");
}

TEST_CASE("a table interpolates logarithms and goes on in proportion") {
  Machine m = machine();
  m.collectives = {curve("mpi", 1e-6)};
  const auto table = cost_table_of(m);
  const auto at = [&](double bytes) {
    return *table->seconds(Collective::all_reduce, "mpi", {.ranks = 4}, bytes);
  };
  CHECK(at(1) == 1e-6);
  CHECK(at(1000) == Approx(1e-6 * std::sqrt(10)));
  CHECK(at(10000) == Approx(1e-5));
  CHECK(at(40000) == Approx(4e-5));
  CHECK_FALSE(table->seconds(Collective::all_reduce, "mpi", {.ranks = 8}, 100));
  CHECK_FALSE(table->seconds(Collective::all_reduce, "mpi", {.ranks = 4, .nodes = 2}, 100));
}

TEST_CASE("groups of the dry device lie on the machine's nodes") {
  Machine m = machine();
  const auto world = dry::make(8, 0, options_of(m));
  CHECK(world->shape().nodes == 2);
  CHECK_FALSE(world->shape().shared_inside);
  CHECK(world->links().across.alpha == 2e-5);
  const auto neighbours = world->split({0, 0, 0, 0, 1, 1, 1, 1});
  CHECK(neighbours->shape().nodes == 1);
  CHECK(neighbours->shape().ranks == 4);
  const auto across = world->split({0, 1, 2, 3, 0, 1, 2, 3});
  CHECK(across->shape().nodes == 2);
  CHECK(across->shape().ranks == 2);
  m.shared.sync = {1e-7};
  m.cores_per_node = 2;
  const auto sharing = dry::make(8, 0, options_of(m));
  CHECK(sharing->shape().shared_inside);
  CHECK(sharing->shape().crowded);
}

TEST_CASE("a job's machine decides, whatever its determinism: replays where nodes count") {
  JobConfig job;
  const CommunicatorOptions options = communicator_options(job, machine(), 8);
  const GroupShape world{.ranks = 8, .nodes = 2};
  const auto known = options.costs->seconds(Collective::all_reduce, "native/ring", world, 1024);
  REQUIRE(known);
  const Price price = price_of(machine(), Collective::all_reduce, 1024, world, "native/ring");
  CHECK(price.by == "replay");
  CHECK(*known == Approx(price.seconds.value));
  const GroupShape data{.ranks = 4, .nodes = 2}, tensor{.ranks = 2, .nodes = 1};
  CHECK_FALSE(options.costs->seconds(Collective::all_reduce, "native/ring", data, 1024));
  job.parallel.tensor = 2;  // its groups of neighbours, and of every other rank
  const auto costs = communicator_options(job, machine(), 8).costs;
  CHECK(costs->seconds(Collective::all_reduce, "native/ring", data, 1024));
  CHECK(costs->seconds(Collective::all_reduce, "native/ring", tensor, 1024));
  CHECK_FALSE(communicator_options(job, 8).costs);
  job.collectives.machine = "no such file";
  CHECK_THROWS_AS(communicator_options(job, 8), ConfigError);
}
