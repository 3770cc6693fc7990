// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/exchanges.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "parallelism/pipeline/table.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

PipelineSchedule schedule_of(const char* name, const PipelineShape& shape) {
  return make_schedule(*find_schedule_kind(name), shape);
}

// Every schedule that waits for its messages, over a grid of shapes.
template <class F>
void for_each_case(F f) {
  for (const char* name : {"1f1b", "interleaved"}) {
    for (int stages = 3; stages <= 6; ++stages) {
      for (int micro_batches = 1; micro_batches <= 4 * stages; ++micro_batches) {
        for (int chunks = 1; chunks <= 4; ++chunks) {
          const PipelineShape shape{stages, micro_batches, chunks};
          if (!find_schedule_kind(name)->refusal(shape).empty()) continue;
          INFO(name << ": " << stages << " stages, " << micro_batches << " micro-batches, "
                    << chunks << " chunks");
          f(schedule_of(name, shape));
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("every message stands once on both ends, and the stages come to the end") {
  for_each_case([](const PipelineSchedule& schedule) {
    const PipelineShape& shape = schedule.shape;
    std::set<std::pair<int, std::string>> messages;
    for (int s = 0; s < shape.stages; ++s) {
      for (const Round& round : rounds_of(schedule, s)) {
        for (const auto& exchange : round.exchanges) {
          for (const Action& action : exchange)
            CHECK(messages.insert({s, text_of(action)}).second);
        }
      }
    }
    // Both ways between all parts of the model, two ends each.
    CHECK(messages.size() ==
          static_cast<std::size_t>(4 * shape.micro_batches * (shape.parts() - 1)));
    const SimulatedSchedule done = simulate_rounds(schedule, {});
    CHECK(done.makespan > 0);
  });
}

TEST_CASE("what waiting costs: 1F1B a pass of each stage at most, and what each stage sends") {
  for_each_case([](const PipelineSchedule& schedule) {
    const PipelineShape& shape = schedule.shape;
    const double free = simulate_schedule(schedule, {}).makespan;
    const double awaited = simulate_rounds(schedule, {}).makespan;
    if (shape.chunks == 1) CHECK(awaited <= free + shape.stages - 1 + 1e-9);
    CHECK(awaited >= free - 1e-9);
    const double slow = simulate_rounds(schedule, {.message = 0.1}).makespan;
    const double computed = 3.0 * shape.micro_batches * shape.chunks;
    CHECK(slow >= computed + 0.1 * 2 * shape.micro_batches * shape.chunks - 0.2 * shape.chunks);
  });
}

TEST_CASE("one micro-batch on three stages, by hand") {
  // Passes of one second (backward: both halves), messages of one.
  const auto schedule = schedule_of("1f1b", {3, 1, 1});
  const ScheduleTimes times{.parts = {{1, 1, 0}}, .message = 1};
  const SimulatedSchedule done = simulate_rounds(schedule, times);
  CHECK(done.makespan == Approx(3 + 2 + 3 + 2));
  CHECK(done.busy == std::vector<double>{2, 2, 2});
  CHECK(done.stages[1][0].begin == Approx(2));
  CHECK(done.stages[0][1].begin == Approx(9));
}

TEST_CASE("interleaved stages exchange behind pairs of passes") {
  const auto schedule = schedule_of("interleaved", {4, 8, 2});
  const auto rounds = rounds_of(schedule, 1);
  // 2 x 2 + 4 of the warm-up, then pairs, then backward passes alone; the first is empty.
  const auto passes = [&](std::size_t r) {
    return std::count_if(rounds[r].passes.begin(), rounds[r].passes.end(), [&](std::size_t i) {
      return schedule.stages[1][i].kind != ActionKind::backward_weight;
    });
  };
  CHECK(passes(0) == 0);
  CHECK(passes(8) == 1);
  CHECK(passes(9) == 2);
  CHECK(passes(16) == 2);
  CHECK(passes(17) == 1);
  CHECK(rounds.size() == 25);
  for (const Round& round : rounds)
    CHECK(round.exchanges.size() <= 1);
}
