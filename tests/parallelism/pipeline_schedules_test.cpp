// SPDX-License-Identifier: Apache-2.0
// Every schedule of the table over a grid of shapes: proved by the checker and, independently, by
// ranks that carry out one action after the other; its bubble and its memory as its header says.
#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "parallelism/pipeline/check.hpp"
#include "parallelism/pipeline/executor.hpp"
#include "parallelism/pipeline/messages.hpp"
#include "parallelism/pipeline/simulate.hpp"
#include "parallelism/pipeline/table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;

namespace {

// Calls f(kind, shape) for every schedule and every shape of the grid that it serves.
template <class F>
void for_each_case(F f) {
  for (const ScheduleKind* kind : schedule_kinds()) {
    for (int stages = 1; stages <= 8; ++stages) {
      for (int micro_batches = 1; micro_batches <= 4 * stages; ++micro_batches) {
        for (int chunks = 1; chunks <= 4; ++chunks) {
          const PipelineShape shape{stages, micro_batches, chunks};
          if (!kind->refusal(shape).empty()) continue;
          INFO(kind->name << ": " << stages << " stages, " << micro_batches << " micro-batches, "
                          << chunks << " chunks");
          f(*kind, shape);
        }
      }
    }
  }
}

// Ranks that do one action after the other, every message a rendezvous. Whether all come to the
// end.
bool runs_to_its_end(const PipelineSchedule& schedule) {
  std::vector<std::size_t> next(schedule.stages.size(), 0);
  auto action = [&](std::size_t s) {
    return next[s] < schedule.stages[s].size() ? &schedule.stages[s][next[s]] : nullptr;
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t s = 0; s < next.size(); ++s) {
      for (const Action* here = action(s); here; here = action(s)) {
        if (!is_compute(here->kind)) {
          const PlacedAction end = other_end({static_cast<int>(s), *here}, schedule.shape);
          const Action* there = action(static_cast<std::size_t>(end.stage));
          if (!there || *there != end.action) break;
          ++next[static_cast<std::size_t>(end.stage)];
        }
        ++next[s];
        moved = true;
      }
    }
  }
  for (std::size_t s = 0; s < next.size(); ++s)
    if (action(s)) return false;
  return true;
}

// Each backward_weight that stands behind its backward_input and its messages moved before them:
// what an executor does that runs both halves in one pass.
PipelineSchedule both_halves_at_once(PipelineSchedule schedule) {
  for (auto& actions : schedule.stages) {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      if (actions[i].kind != ActionKind::backward_weight) continue;
      for (std::size_t j = i; j > 0 && !is_compute(actions[j - 1].kind); --j)
        std::swap(actions[j], actions[j - 1]);
    }
  }
  return schedule;
}

ScheduleTimes times_of(double forward, double backward_input, double backward_weight) {
  return {.parts = {{forward, backward_input, backward_weight}}};
}

// Seconds that the step takes beyond the work of a stage.
double bubble(const PipelineSchedule& schedule, const ScheduleTimes& times) {
  const SimulatedSchedule simulated = simulate_schedule(schedule, times);
  return simulated.makespan - simulated.busy[0];
}

int peak(const std::vector<int>& stored) {
  return *std::max_element(stored.begin(), stored.end());
}

bool is(const ScheduleKind& kind, std::string_view name) {
  return kind.name == name;
}

}  // namespace

TEST_CASE("every schedule of the table is right, with messages and without", "[unit]") {
  int num_cases = 0;
  for_each_case([&](const ScheduleKind& kind, const PipelineShape& shape) {
    const PipelineSchedule passes = make_schedule(kind, shape);
    const PipelineSchedule complete = with_messages(passes);
    CHECK(check(passes).ascending);
    CHECK(check(complete).peak_stored == check(passes).peak_stored);
    CHECK(runs_to_its_end(complete));
    CHECK(runs_to_its_end(both_halves_at_once(complete)));
    ++num_cases;
  });
  CHECK(num_cases > 400);
}

TEST_CASE("a schedule says whether its weight gradients wait", "[unit]") {
  std::map<std::string, bool> defers;
  for_each_case([&](const ScheduleKind& kind, const PipelineShape& shape) {
    for (const auto& actions : make_schedule(kind, shape).stages)
      defers[kind.name] = defers[kind.name] || defers_weight_gradients(actions);
  });
  for (const ScheduleKind* kind : schedule_kinds()) {
    INFO(kind->name);
    CHECK(defers[kind->name] == kind->defers);
  }
}

// Orders of messages come from assumed times; any times will do.
TEST_CASE("no times that are assumed lead to a deadlock", "[unit]") {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> seconds(0.01, 1);
  for_each_case([&](const ScheduleKind& kind, const PipelineShape& shape) {
    if (shape.micro_batches % 3 != 0) return;
    ScheduleTimes assumed{.parts = std::vector<StageTimes>(static_cast<std::size_t>(shape.parts())),
                          .message = seconds(random)};
    for (StageTimes& part : assumed.parts)
      part = {seconds(random), seconds(random), seconds(random)};
    const PipelineSchedule complete = with_messages(make_schedule(kind, shape), assumed);
    check(complete);
    CHECK(runs_to_its_end(complete));
  });
}

TEST_CASE("a long pipeline is right", "[unit]") {
  for (const ScheduleKind* kind : schedule_kinds()) {
    const PipelineShape shape{64, 512, kind->name == std::string("interleaved") ? 2 : 1};
    INFO(kind->name);
    check(with_messages(make_schedule(*kind, shape)));
  }
}

TEST_CASE("one stage runs as a serial step does and sends nothing", "[unit]") {
  for (const ScheduleKind* kind : schedule_kinds()) {
    const PipelineShape shape{1, 3, 1};
    if (!kind->refusal(shape).empty()) continue;
    const PipelineSchedule schedule = with_messages(make_schedule(*kind, shape));
    INFO(kind->name);
    CHECK(schedule.stages == make_schedule(*kind, shape).stages);
    CHECK(schedule.stages[0].size() == 9);
  }
  using enum ActionKind;
  CHECK(make_schedule("1f1b", {1, 2, 1}).stages[0] == std::vector<Action>{{forward, 0},
                                                                          {backward_input, 0},
                                                                          {backward_weight, 0},
                                                                          {forward, 1},
                                                                          {backward_input, 1},
                                                                          {backward_weight, 1}});
}

TEST_CASE("a message of 1F1B stands behind its making and travels before the weight gradient",
          "[unit]") {
  using enum ActionKind;
  const PipelineSchedule schedule = with_messages(make_schedule("1f1b", {2, 2, 1}));
  CHECK(schedule.stages[0] == std::vector<Action>{{forward, 0},
                                                  {send_activation, 0},
                                                  {forward, 1},
                                                  {send_activation, 1},
                                                  {receive_gradient, 0},
                                                  {backward_input, 0},
                                                  {backward_weight, 0},
                                                  {receive_gradient, 1},
                                                  {backward_input, 1},
                                                  {backward_weight, 1}});
  CHECK(schedule.stages[1] == std::vector<Action>{{receive_activation, 0},
                                                  {forward, 0},
                                                  {receive_activation, 1},
                                                  {backward_input, 0},
                                                  {send_gradient, 0},
                                                  {backward_weight, 0},
                                                  {forward, 1},
                                                  {backward_input, 1},
                                                  {send_gradient, 1},
                                                  {backward_weight, 1}});
}

// A backward pass in one piece: B is all of it. In two, the gradient leaves before W.
TEST_CASE("bubbles are what the papers say", "[unit]") {
  for_each_case([](const ScheduleKind& kind, const PipelineShape& shape) {
    const PipelineSchedule schedule = make_schedule(kind, shape);
    const double P = shape.stages, m = shape.micro_batches, v = shape.chunks;
    const ScheduleTimes whole = times_of(1 / v, 2 / v, 0), halves = times_of(1 / v, 1 / v, 1 / v);
    if (is(kind, "zb-h1")) {
      CHECK(bubble(schedule, halves) == Approx(P - 1).margin(1e-9));
      return;
    }
    CHECK(bubble(schedule, whole) == Approx(3 * (P - 1) / v).margin(1e-9));
    CHECK(bubble(schedule, halves) == Approx(2 * (P - 1) / v).margin(1e-9));
    const SimulatedSchedule simulated = simulate_schedule(schedule, whole);
    for (int s = 0; s < shape.stages; ++s)
      CHECK(simulated.idle_share(s) == Approx((P - 1) / (v * m + P - 1)).margin(1e-9));
  });
}

TEST_CASE("messages that cost nothing change no time", "[unit]") {
  for_each_case([](const ScheduleKind& kind, const PipelineShape& shape) {
    const PipelineSchedule schedule = make_schedule(kind, shape);
    for (const MessageQueue queue : {MessageQueue::messages_only, MessageQueue::shared}) {
      ScheduleTimes times = times_of(1, 1, 1);
      const double without = simulate_schedule(schedule, times).makespan;
      times.queue = queue;
      CHECK(simulate_schedule(with_messages(schedule), times).makespan == without);
    }
  });
}

TEST_CASE("stored micro-batches are as the schedules promise", "[unit]") {
  for_each_case([](const ScheduleKind& kind, const PipelineShape& shape) {
    const std::vector<int> stored = check(make_schedule(kind, shape)).peak_stored;
    const int P = shape.stages, m = shape.micro_batches, v = shape.chunks;
    for (int s = 0; s < P; ++s) {
      const int here = stored[static_cast<std::size_t>(s)];
      if (is(kind, "gpipe")) CHECK(here == m);
      if (is(kind, "1f1b")) CHECK(here == std::min(m, P - s));
      if (is(kind, "zb-h1")) CHECK(here == std::min(m, P));
      if (is(kind, "interleaved"))
        CHECK(here == std::min(m * v, (v - 1) * P + 2 * (P - 1 - s) + 1));
    }
    if (is(kind, "zb-h1"))
      CHECK(peak(stored) == peak(check(make_schedule("1f1b", shape)).peak_stored));
  });
}

TEST_CASE("a message takes its time, and begins when both ends have come to it", "[unit]") {
  const PipelineSchedule passes = make_schedule("gpipe", {2, 2, 1});
  ScheduleTimes times = times_of(1, 1, 1);
  times.message = 2;
  // Activations travel 1-3 and 4-6 (stage 1 comes to the second when its F0 has ended), gradients
  // 8-10 and 12-14; B1 and W1 of stage 0 end the step.
  CHECK(simulate_schedule(with_messages(passes), times).makespan == 16);
  // Without a queue each travels when it has been made: gradients 6-8 and 8-10.
  CHECK(simulate_schedule(passes, times).makespan == 12);
}

TEST_CASE("parts of the model have times of their own", "[unit]") {
  const PipelineSchedule schedule = make_schedule("1f1b", {2, 1, 1});
  const SimulatedSchedule simulated =
      simulate_schedule(schedule, {.parts = {{1, 2, 3}, {10, 20, 30}}});
  CHECK(simulated.makespan == 61);  // of stage 1; stage 0 ends at 1 + 10 + 20 + 2 + 3
  CHECK(simulated.stages[0].back().end == 36);
  CHECK(simulated.idle_share(0) == Approx(1 - 6.0 / 61));
}

TEST_CASE("shapes that a schedule cannot serve are refused with what would do", "[unit]") {
  auto error = [](const char* name, const PipelineShape& shape) {
    return test::config_error([&] { make_schedule(name, shape); });
  };
  CHECK(
      error("interleaved", {4, 6, 2}) ==
      "parallel.schedule = \"interleaved\" needs a multiple of its 4 stages as micro-batches, but "
      "there are 6; 4 or 8 would do (batch.global / batch.micro / parallel.data)");
  CHECK_THAT(error("interleaved", {4, 3, 2}), ContainsSubstring("but there are 3; 4 would do"));
  CHECK_THAT(error("interleaved", {4, 4, 1}), ContainsSubstring("parallel.chunks is 1; 2 or more"));
  CHECK_THAT(error("interleaved", {1, 4, 2}), ContainsSubstring("parallel.pipeline is 1"));
  CHECK_THAT(error("zb-h1", {4, 3, 1}), ContainsSubstring("3 on 4 stages; 4 or more"));
  for (const char* name : {"gpipe", "1f1b", "zb-h1"})
    CHECK_THAT(error(name, {2, 2, 2}), ContainsSubstring("set it to 1 or take interleaved"));
  CHECK_THAT(error("1f1b", {2, 0, 1}), ContainsSubstring("each must be 1 or more"));
  CHECK(error("2f2b", {2, 2, 1}) ==
        "parallel.schedule = \"2f2b\" is no file and none of " + schedule_names());
}
