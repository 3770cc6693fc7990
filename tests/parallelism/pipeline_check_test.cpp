// SPDX-License-Identifier: Apache-2.0
// Errors planted into right schedules, each of which the checker must find; and schedules of files.
#include <algorithm>

#include "parallelism/pipeline/check.hpp"
#include "parallelism/pipeline/messages.hpp"
#include "parallelism/pipeline/schedule_file.hpp"
#include "parallelism/pipeline/table.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;
using enum ActionKind;

namespace {

PipelineSchedule complete(const char* name, const PipelineShape& shape) {
  return with_messages(make_schedule(name, shape));
}

std::string fault(const PipelineSchedule& schedule) {
  const auto found = find_fault(schedule);
  return found ? found->what : "none";
}

auto find(std::vector<Action>& actions, const Action& action) {
  return std::find(actions.begin(), actions.end(), action);
}

std::string error_of(std::string_view text, const PipelineShape& shape = {2, 2, 1}) {
  return test::config_error([&] { parse_schedule(text, "my.schedule", shape); });
}

}  // namespace

TEST_CASE("any action that is left out is missed", "[unit]") {
  for (const char* name : {"gpipe", "1f1b", "zb-h1", "interleaved"}) {
    const PipelineShape shape{3, 6, name == std::string("interleaved") ? 2 : 1};
    const PipelineSchedule right = complete(name, shape);
    for (std::size_t s = 0; s < right.stages.size(); ++s) {
      for (std::size_t i = 0; i < right.stages[s].size(); ++i) {
        PipelineSchedule wrong = right;
        wrong.stages[s].erase(wrong.stages[s].begin() + static_cast<std::ptrdiff_t>(i));
        INFO(name << " stage " << s << " without " << text_of(right.stages[s][i]));
        CHECK(find_fault(wrong));
      }
    }
  }
}

TEST_CASE("an action too many is found", "[unit]") {
  PipelineSchedule wrong = complete("1f1b", {2, 4, 1});
  wrong.stages[1].push_back({backward_weight, 2});
  CHECK(fault(wrong) == "stage 1 has W2 twice");
  wrong.stages[1].back() = {forward, 4};
  CHECK(fault(wrong) == "stage 1 has F4, but micro-batches go from 0 to 3 and chunks from 0 to 0");
  wrong.stages[1].back() = {send_activation, 1};
  CHECK(fault(wrong) == "stage 1 has send_activation 1, but nothing travels there");
  wrong.stages.pop_back();
  CHECK_THAT(fault(wrong), ContainsSubstring("lists 1 stages of 2"));
}

TEST_CASE("an action before what it needs is found", "[unit]") {
  const PipelineSchedule right = complete("1f1b", {2, 4, 1});
  auto moved_to_the_front = [&](std::size_t stage, const Action& action) {
    PipelineSchedule wrong = right;
    auto& actions = wrong.stages[stage];
    const auto at = find(actions, action);
    std::rotate(actions.begin(), at, at + 1);
    return fault(wrong);
  };
  CHECK_THAT(moved_to_the_front(1, {forward, 0}),
             ContainsSubstring("F0 before receive_activation 0"));
  CHECK_THAT(moved_to_the_front(0, {send_activation, 2}),
             ContainsSubstring("send_activation 2 before F2"));
  CHECK_THAT(moved_to_the_front(0, {backward_input, 1}), ContainsSubstring("B1 before F1"));
  CHECK_THAT(moved_to_the_front(0, {backward_weight, 1}), ContainsSubstring("W1 before B1"));
  CHECK_THAT(moved_to_the_front(1, {send_gradient, 3}),
             ContainsSubstring("send_gradient 3 before B3"));
}

TEST_CASE("a deadlock is found and told", "[unit]") {
  // Stage 0 wants the gradient of micro-batch 0 before it sends what stage 1 computes first.
  CHECK_THAT(
      error_of("F0 B0 W0 F1 B1 W1\nF1 F0 B0 W0 B1 W1\n"),
      ContainsSubstring("my.schedule:1: deadlock: stage 0 at B0, stage 1 at F1 wait for each"));

  PipelineSchedule wrong = complete("1f1b", {2, 4, 1});
  auto& actions = wrong.stages[0];
  const auto send = find(actions, {send_activation, 0});
  const auto receive = find(actions, {receive_gradient, 0});
  std::rotate(send, receive, receive + 1);
  CHECK(fault(wrong) ==
        "deadlock: stage 0 at receive_gradient 0, stage 1 at receive_activation 0 wait for each "
        "other");
  CHECK_THAT(test::thrown<LogicError>([&] { check(wrong); }),
             ContainsSubstring("schedule 1f1b: deadlock"));
}

// Two messages in opposite directions: each end sends first, which two rendezvous cannot.
TEST_CASE("orders that differ between two stages are a deadlock", "[unit]") {
  PipelineSchedule wrong = complete("1f1b", {2, 4, 1});
  auto& last = wrong.stages[1];
  const auto receive = find(last, {receive_activation, 1});
  const auto send = find(last, {send_gradient, 0});
  REQUIRE(receive < send);
  const auto forward_1 = find(last, {forward, 1});
  REQUIRE(send < forward_1);
  std::rotate(receive, receive + 1, forward_1);
  CHECK_THAT(fault(wrong),
             ContainsSubstring("stage 0 at send_activation 1, stage 1 at send_gradient 0"));
}

TEST_CASE("a file holds any schedule", "[unit]") {
  const test::TempDir dir;
  for (const char* name : {"gpipe", "1f1b", "zb-h1", "interleaved"}) {
    const PipelineShape shape{3, 6, name == std::string("interleaved") ? 2 : 1};
    const PipelineSchedule written = make_schedule(name, shape);
    const std::string path =
        dir.write(name, "# " + std::string(name) + "\n\n" + schedule_text(written));
    const PipelineSchedule read = make_schedule(path, shape);
    CHECK(read.stages == written.stages);
    CHECK(read.shape == shape);
  }
}

TEST_CASE("weight gradients out of order are allowed and told", "[unit]") {
  const PipelineSchedule reversed =
      parse_schedule("F0 F1 B1 W1 B0 W0\nF0 F1 B1 W1 B0 W0 # as GPipe\n", "f", {2, 2, 1});
  CHECK_FALSE(check(with_messages(reversed)).ascending);
}

TEST_CASE("two chunks of one stage hand over directly", "[unit]") {
  const PipelineSchedule schedule = parse_schedule("F0.0 F0.1 B0.1 W0.1 B0 W0", "f", {1, 1, 2});
  CHECK(with_messages(schedule).stages == schedule.stages);
  CHECK(check(schedule).peak_stored == std::vector<int>{2});
}

TEST_CASE("errors of a file name line, fault and remedy", "[unit]") {
  CHECK(error_of("F0 F1\n# a comment\nF0 X1\n") ==
        "parallel.schedule: my.schedule:3: \"X1\" is no action; write F, B or W and the "
        "micro-batch, with several chunks .CHUNK behind it, as in F0 B0 W0 or F0.1");
  for (const char* word : {"F", "F1.", "F.1", "1", "F1x", "f0", "F99999999999", "F0.1.2"})
    CHECK_THAT(error_of(word), ContainsSubstring("\"" + std::string(word) + "\" is no action"));
  CHECK(error_of("F0 B0 W0 F1 B1 W1\n") ==
        "parallel.schedule: my.schedule has lines for 1 stages, but parallel.pipeline is 2; write "
        "one line per stage");
  CHECK(
      error_of("F0 F1 B0 W0 B1 W1\n\nF0 B0 W0 F1 B1\n") ==
      "parallel.schedule: my.schedule:3: stage 1 lacks W1; each of 2 micro-batches needs F, B and "
      "W once in each of 1 chunk, F before B before W, and stages in the order of the model");
  CHECK_THAT(error_of("F0 F2\nF0"),
             ContainsSubstring("my.schedule:1: stage 0 has F2, but micro-b"));
  CHECK_THAT(error_of("F0 W0\nF0"), ContainsSubstring("my.schedule:1: stage 0 has W0 before B0"));
  CHECK_THAT(error_of("F-1\nF0"), ContainsSubstring("has F-1, but micro-batches go from 0 to 1"));
  CHECK_THAT(test::config_error([] {
               read_schedule("/nowhere/at.all", {2, 2, 1});
             }),
             ContainsSubstring("parallel.schedule: /nowhere/at.all cannot be read: No such file"));
}
