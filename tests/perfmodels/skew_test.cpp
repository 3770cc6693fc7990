// SPDX-License-Identifier: Apache-2.0
// Ranks that are not there at the same time: what is waited for, in recordings short enough to be
// worked out by hand.
#include "perfmodels/skew.hpp"

#include "perfmodels/calibrate/skew.hpp"
#include "perfmodels/step_replay.hpp"
#include "perfmodels/step_time.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

constexpr StreamKind kCompute = StreamKind::compute, kCommunicate = StreamKind::communication;

double value(const Figure& f) {
  return f.value;
}

Record kernel(int after = -1) {
  return {.operation = {.name = "some"}, .stream = kCompute, .after = after};
}
Record sum(int after, int ranks = 2) {
  return {.operation = {.name = "all_reduce", .kind = OperationKind::collective, .ranks = ranks},
          .stream = kCommunicate,
          .after = after};
}

// Of two ranks the average one waits for a tenth of what it computed.
Machine with_skew() {
  Machine m{.name = "skewed"};
  m.skew = {.ranks = 2, .waiting = Curve({{0.1, {0.01, 0.001, 0.03}}, {10, {1, 0.1, 3}}})};
  return m;
}

}  // namespace

TEST_CASE("the greatest of n normal values, as tables have it") {
  CHECK(expected_greatest(1) == 0);
  CHECK(expected_greatest(2) == Approx(0.5642).epsilon(1e-3));
  CHECK(expected_greatest(3) == Approx(0.8463).epsilon(1e-3));
  CHECK(expected_greatest(10) == Approx(1.5388).epsilon(1e-3));
  CHECK(expected_greatest(1000) == Approx(3.2414).epsilon(1e-3));
}

TEST_CASE("more ranks wait longer, one does not") {
  const Machine m = with_skew();
  CHECK(waiting_seconds(m, 2, 1).value == Approx(0.1));
  CHECK(waiting_seconds(m, 2, 1).high == Approx(0.3));
  CHECK(waiting_seconds(m, 10, 1).value == Approx(0.1 * 1.5388 / 0.5642).epsilon(1e-3));
  CHECK(waiting_seconds(m, 1, 1).value == 0);
  CHECK(waiting_seconds(Machine{}, 2, 1).value == 0);
}

TEST_CASE("lateness grows with what was computed since the ranks met, over the end of a step") {
  // A kernel, a sum of it that the third kernel waits for, and the update behind it.
  const std::vector<Record> records = {kernel(), sum(0), kernel(), kernel(1), sum(3, 1)};
  const std::vector<double> late = lateness_of(records, {2, 1, 3, 4, 1}, with_skew(), value);
  CHECK(late[1] == Approx(0.1 * (4 + 2)));  // the update of the step before counts
  CHECK(late[0] == 0);
  CHECK(late[4] == 0);  // one rank
}

TEST_CASE("a collective begins when the last rank is there, and its record spans the waiting") {
  const std::vector<Record> records = {kernel(), sum(0), kernel(1)};
  const std::vector<Span> spans = replay(records, {2, 1, 1}, {}, {0, 0.5, 0});
  CHECK(spans[1].begin == 2);
  CHECK(spans[1].end == 3.5);
  CHECK(spans[2].end == 4.5);
  // Behind other kernels it costs nothing.
  const std::vector<Record> behind = {kernel(), sum(0), kernel(), kernel(1)};
  CHECK(replay(behind, {2, 1, 5, 1}, {}, {0, 0.5, 0, 0})[3].end == 8);
}

TEST_CASE("where kernels have the core a collective begins late, where they wait at once") {
  const std::vector<Record> records = {kernel(), sum(0), kernel(), kernel(1)};
  const Slowdowns slow{.compute = 2, .communication = 2, .delay = 3};
  // From 1 to 4 it waits for the core; then both at half their speed.
  const std::vector<Span> beside = replay(records, {1, 1, 5, 1}, slow);
  CHECK(beside[1].end == Approx(6));
  CHECK(beside[2].end == Approx(7));
  // The kernel ends at 2, and what is left of the delay with it.
  CHECK(replay(records, {1, 1, 1, 1}, slow)[1].end == Approx(3));
}

TEST_CASE("what ranks wait for is a part of the step by itself, and of the interval") {
  const auto record = record_step(test::small_job(), 2, 2);
  Machine m = with_skew();
  m.calibrated = true;
  m.compute.push_back({.peak_flops = {1e11},
                       .memory_bandwidth = {1e10},
                       .gemm_efficiency = {0.5},
                       .attention_efficiency = {0.5},
                       .streaming_efficiency = {0.5}});
  const StepPrediction p = predict_step(*record, m);
  CHECK(p.breakdown.waiting.value > 0);
  CHECK(p.high - p.seconds > p.seconds - p.low);
  m.skew = {};
  const StepPrediction together = predict_step(*record, m);
  CHECK(together.seconds == Approx(p.seconds - p.breakdown.waiting.value));
  CHECK(together.breakdown.waiting.value == 0);
  CHECK(together.breakdown.exposed == Approx(p.breakdown.exposed));
  CHECK_FALSE(together.has_interval());
  m.drift = {.compute = 0.1, .memory = 0.1, .collectives = 0.1};
  const StepPrediction drifting = predict_step(*record, m);
  CHECK(drifting.high > 1.05 * drifting.seconds);
}

TEST_CASE("windows are of visits that follow each other, and the last one is whole") {
  const std::vector<Window> windows = windows_of({1.5, 0.5, 1, 1, 9}, {1, 1, 1, 2, 1}, 2);
  REQUIRE(windows.size() == 2);
  CHECK(windows[0].own == 2);
  CHECK(windows[0].average == 2);
  CHECK(windows[1].own == 2);
  CHECK(windows[1].average == 3);
  CHECK(windows_of({}, {}, 1).empty());
}
