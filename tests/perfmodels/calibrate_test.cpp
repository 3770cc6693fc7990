// SPDX-License-Identifier: Apache-2.0
// A calibration of next to no time: whatever it finds is a profile that can be read. No time is
// looked at.
#include "perfmodels/calibrate/calibrate.hpp"

#include <set>

#include "collectives/algorithms/table.hpp"
#include "perfmodels/calibrate/kernel_runs.hpp"
#include "perfmodels/calibrate/links.hpp"
#include "perfmodels/calibrate/pictures.hpp"
#include "perfmodels/machine/profile.hpp"
#include "tests/perfmodels/patient_calibration.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/mpi.hpp"

using namespace lockstep;

namespace {

Extent tiny() {
  Extent e = quick_extent();
  e.seconds = 20;  // not used up (else: more): one round, and first visits are short
  e.rounds = 1;
  e.products = {16, 64};
  e.most_elements = 1 << 12;
  e.attention_tokens = {32};
  e.attention_channels = {16};
  e.bandwidth_elements = 1 << 16;
  e.most_message = 64 << 10;
  e.message_steps = 1;
  e.skew_slices = 4;
  e.most_vector = 4096;
  e.refinements = 1;
  return e;
}

const Calibration& found() {
  static const Calibration calibration = test::calibrate_patiently(
      tiny(), 4, [](const Extent& extent) { return calibrate(test::context(), extent, 1); });
  return calibration;
}

}  // namespace

TEST_CASE("a calibration is a profile that can be read") {
  const std::string text = to_toml(found().machine);
  const Machine machine = parse_machine(text, "calibrated");
  CHECK(to_toml(machine) == text);
  CHECK(machine.calibrated);
  CHECK(machine.nodes * machine.devices_per_node == test::context().size());
  REQUIRE(machine.find_compute("float32"));
  CHECK(found().samples > found().measurements);
}

TEST_CASE("a calibration holds what a rank computes") {
  const ComputeProfile& c = *found().machine.find_compute("float32");
  CHECK(c.gemm.size() == 3 * 8);
  CHECK(c.attention.size() == 2 * 3);
  CHECK(c.streaming.size() == streaming_kernels().size() + compression_kernels().size());
  for (const GemmPoint& p : c.gemm)
    CHECK(p.seconds.value > 0);
  CHECK(c.memory_bandwidth.value > 0);
  CHECK(c.gemm_efficiency.value <= 1);
  CHECK(c.launch.value > 0);
}

TEST_CASE("between ranks there are links, local steps and every candidate") {
  const Machine& m = found().machine;
  const int p = test::context().size();
  if (p == 1) {
    CHECK(m.links.empty());
    CHECK(m.collectives.empty());
    return;
  }
  REQUIRE(m.find_link("inside"));
  const LinkProfile& link = *m.find_link("inside");
  CHECK(link.messages.points().size() >= 10);
  CHECK(!link.segments.empty());
  for (const Figure& f : {link.loggp.L, link.loggp.o_send, link.loggp.o_recv, link.loggp.g})
    CHECK(f.value > 0);
  CHECK(m.shared.gamma.value > 0);

  std::set<std::string> labels;
  for (const CollectiveCurve& curve : m.collectives) {
    CHECK(curve.ranks == p);
    labels.insert(curve.operation + " " + curve.label);
  }
  const GroupShape shape = assumed_shape(p, 1);
  for (const Algorithm* a : algorithms()) {
    const bool asked = a->what == Collective::all_reduce || a->what == Collective::broadcast;
    if (!asked || a->refusal(shape)) continue;
    INFO(a->label);
    CHECK(labels.count(std::string(name_of(a->what)) + " " + a->label) == 1);
  }
  CHECK(labels.count("all_reduce mpi") == 1);
}

TEST_CASE("all ranks find the same") {
  const std::string mine = to_toml(found().machine);
  CHECK(test::context().broadcast(mine) == mine);
}

namespace {

class OneSecondTrial : public Trial {
 public:
  void run(std::span<double> seconds) override { seconds[0] = 1; }  // says so, and takes no time
};

}  // namespace

TEST_CASE("what does not fit into the time is left out, what comes without expectation is not") {
  Sampler sampler(test::context(), 0.02);
  const auto item = [](std::optional<double> expected) {
    return Item{.name = "one second",
                .prepare = [] { return std::make_unique<OneSecondTrial>(); },
                .expected = expected};
  };
  const std::size_t needed = sampler.add(item({})), fitting = sampler.add(item(0.1)),
                    too_long = sampler.add(item(1e6));
  sampler.run(60, 1, 0, 1e-3);
  CHECK(sampler.has(fitting));
  CHECK_FALSE(sampler.has(too_long));
  REQUIRE(sampler.has(needed));
  CHECK(sampler.samples(needed).figure().value == 1);
  CHECK(sampler.least_seconds() > 0);

  Sampler late(test::context(), 0.02);
  late.add(item({}));
  late.add(item(0.1));
  late.run(0, 1);
  CHECK(late.has(0));
  CHECK_FALSE(late.has(1));
}

TEST_CASE("a probe looks at the machine before each visit and behind it") {
  Sampler sampler(test::context(), 0);
  double looked = 0;
  sampler.watch([&] { return ++looked; });
  const std::size_t item = sampler.add(
      {.name = "one second", .prepare = [] { return std::make_unique<OneSecondTrial>(); }});
  sampler.run(60, 1);
  sampler.run(60, 1);
  REQUIRE(sampler.samples(item).num_visits() >= 2);
  REQUIRE(sampler.watched(item).size() == sampler.samples(item).num_visits());
  CHECK(sampler.watched(item)[1].before == 3);
  CHECK(sampler.watched(item)[1].after == 4);
}

namespace {

class UnsteadyTrial : public Trial {
 public:
  void run(std::span<double> seconds) override { seconds[0] = next_ *= 2; }

 private:
  double next_ = 1;
};

}  // namespace

TEST_CASE("what takes little of its share of a round has several turns in it") {
  Sampler sampler(test::context(), 0);
  const std::size_t item = sampler.add(
      {.name = "never enough", .prepare = [] { return std::make_unique<UnsteadyTrial>(); }});
  sampler.run(60, 1);
  CHECK(sampler.rounds(item) == std::vector<std::size_t>{1});
  sampler.run(60, 1);
  CHECK(sampler.rounds(item) == std::vector<std::size_t>{1, 2, 2, 2, 2});
  sampler.run(0, 1);  // no time, and no turn
  CHECK(sampler.rounds(item).size() == 5);
}

TEST_CASE("visits count in the state that most found, and those of few are made up") {
  Sampler sampler(test::context(), 0);
  int looked = 0;
  sampler.watch([&] { return ++looked <= 2 ? 1.0 : 3.0; });  // the first visit's state is gone
  const Item one_second{.name = "one second",
                        .prepare = [] { return std::make_unique<OneSecondTrial>(); }};
  const std::size_t early = sampler.add(one_second), late = sampler.add(one_second);
  sampler.run(60, 1, std::vector<std::size_t>{early});
  sampler.run(60, 2, std::vector<std::size_t>{late});
  REQUIRE(!sampler.states().empty());
  CHECK(sampler.states().front().share < 1);
  CHECK(sampler.samples(early).num_counted() == 0);
  const std::size_t visits = sampler.samples(late).num_visits();
  sampler.make_up(60, 1e-3);
  CHECK(sampler.samples(early).num_counted() >= 2);
  CHECK(sampler.samples(early).num_counted() + 1 == sampler.samples(early).num_visits());
  CHECK(sampler.samples(late).num_visits() == visits);
}

TEST_CASE("pictures show what was found") {
  const Plot compute = picture_of_compute(*found().machine.find_compute("float32"));
  CHECK(compute.series.size() == 3 + 1);  // products, without those of bfloat16, and the peak
  const Plot messages = picture_of_messages(found().machine);
  if (test::context().size() == 1) {
    CHECK(messages.series.empty());
    return;
  }
  const LinkProfile& link = *found().machine.find_link("inside");
  CHECK(messages.series.size() == 1 + link.segments.size());
  CHECK(messages.series.front().points.size() == link.messages.points().size());
}

TEST_CASE("who is paired with whom") {
  const std::vector<int> nodes = {0, 0, 1, 1, 1, 2, 2};
  CHECK(pair_inside(nodes, 0).peer == 1);
  CHECK(pair_inside(nodes, 1).lead);
  CHECK(pair_inside(nodes, 2).peer == 3);
  CHECK_FALSE(pair_inside(nodes, 2).lead);
  CHECK(pair_inside(nodes, 4).peer == -1);
  CHECK(pair_across(nodes, 0).peer == 2);
  CHECK(pair_across(nodes, 3).peer == 1);
  CHECK(pair_across(nodes, 4).peer == -1);
  CHECK(pair_across(nodes, 5).peer == -1);
  CHECK(pair_across(nodes, 0).lead);
  CHECK_FALSE(pair_across(nodes, 1).lead);
  CHECK(pair_across(nodes, 1).pairs_per_node == 2);
}
