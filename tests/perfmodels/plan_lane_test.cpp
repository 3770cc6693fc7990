// SPDX-License-Identifier: Apache-2.0
// Worked by hand: layers of 2 s forward and 4 s backward.
#include "perfmodels/plan_lane.hpp"

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

constexpr Action kForward{ActionKind::forward}, kBackward{ActionKind::backward_input};

LaneCosts layer_of(double gather, double sum) {
  return {.alone = {2, 4, 0},
          .forward_until = 1,
          .backward_until = 2,
          .gather = gather,
          .sum = sum,
          .parameters = 1,
          .gradient_bytes = 1};
}

// Three layers of one chunk, in two buffers by turns.
StageLane lane_of(const LaneCosts& costs, const LaneRules& rules, LaneMessages messages = {}) {
  return {{{&costs, 0, 0, 0}, {&costs, 1, 1, 1}, {&costs, 2, 0, 0}}, {0, 3}, rules, messages};
}

}  // namespace

TEST_CASE("values come a layer ahead, and what is there is not gathered again") {
  const LaneRules rules{.zero = 3};
  const LaneCosts quick = layer_of(1, 0), slow = layer_of(3, 0);
  StageLane hidden = lane_of(quick, rules);
  CHECK(hidden.pass(kForward, 0, 0).end == Approx(1 + 6));  // the first one is waited for
  // The last two layers are held; the first comes behind one of them.
  CHECK(hidden.pass(kBackward, 7, 7).end == Approx(7 + 12));
  CHECK(hidden.sent() == Approx(4));

  StageLane exposed = lane_of(slow, rules);  // there at 3, 6 and, launched with the second layer, 9
  CHECK(exposed.pass(kForward, 0, 0).end == Approx(9 + 2));
  CHECK(exposed.stalled() == Approx(5));
  // A stage that waits for its message gathers meanwhile.
  StageLane late = lane_of(slow, rules);
  CHECK(late.pass(kForward, 0, 3).end == Approx(11));
}

TEST_CASE("gradients of a layer wait for those that were in their buffer") {
  const LaneCosts quick = layer_of(0, 3), slow = layer_of(0, 7);
  const LaneRules rules{.zero = 2};
  StageLane hidden = lane_of(quick, rules);
  CHECK(hidden.pass(kBackward, 0, 0).end == Approx(12));
  CHECK(hidden.finish(0) == Approx(15));
  StageLane exposed = lane_of(slow, rules);  // sums of the last layer 4..11, then 11..18
  CHECK(exposed.pass(kBackward, 0, 0).end == Approx(11 + 4));
  CHECK(exposed.finish(0) == Approx(11 + 7 + 7));
}

TEST_CASE("gradients of the last micro-batch are summed bucket by bucket behind the rest") {
  const LaneCosts costs = layer_of(0, 0);
  const LaneRules rules{.last_micro_batch = 1, .bucket_bytes = 1, .sum = {.beta = 3}};
  StageLane lane = lane_of(costs, rules);
  CHECK(lane.pass(kBackward, 0, 0).end == Approx(12));
  CHECK(lane.sent() == 0);
  CHECK(lane.pass({ActionKind::backward_input, 1}, 12, 12).end == Approx(24));
  CHECK(lane.finish(0) == Approx(24 + 3));
  CHECK(lane.finish(2) == Approx(24 + 3 + 6));  // what has waited for another sum
}

TEST_CASE("who sends over the same links shares their rate") {
  const LaneCosts costs = layer_of(1, 3);
  StageLane beside = lane_of(costs, {.zero = 2, .layer_pace = 1.5, .lane_pace = 1.5});
  // 3 s of sums lie beside each of the last two layers.
  CHECK(beside.pass(kBackward, 0, 0).end == Approx(12 + 2 * 1.5));
  StageLane queue = lane_of(costs, {.zero = 2, .same_queue = true});
  CHECK(queue.pass(kBackward, 0, 0).end == Approx(12 + 2 * 1));  // 3 - 2 s until the first sum

  StageLane messages = lane_of(costs, {.zero = 2}, {.backward = 2});
  const PassEnd pass = messages.pass(kBackward, 0, 0);
  CHECK(pass.end == Approx(12));
  CHECK(pass.sends == Approx(12 + 2));  // 3 s of the lane lie before
  // The next pass takes the buffers anew: 2 s of the message, at half rate, and 3 s of sums.
  CHECK(messages.pass(kBackward, 12, 12).end == Approx(12 + 5 + 12));
}
