// SPDX-License-Identifier: Apache-2.0
// Learning rates at points that were worked out by hand.
#include "runtime/optim/schedule.hpp"

#include "runtime/base/error.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// Peak 1, minimum 0.2, 10 steps of warm-up, 110 in all: 100 to decay in.
ScheduleOptions options(DecayKind kind) {
  return {.kind = kind, .peak = 1, .steps = 110, .warmup_steps = 10, .minimum_share = 0.2};
}

}  // namespace

TEST_CASE("the warm-up rises by equal steps to the peak, in every schedule") {
  for (const char* name : kScheduleNames) {
    INFO(name);
    const ScheduleOptions o = options(decay_kind(name));
    CHECK(learning_rate_at(0, o) == Approx(0.1));
    CHECK(learning_rate_at(4, o) == Approx(0.5));
    CHECK(learning_rate_at(9, o) == Approx(1.0));
    CHECK(learning_rate_at(10, o) == Approx(1.0));
  }
}

TEST_CASE("constant stays at the peak") {
  CHECK(learning_rate_at(109, options(DecayKind::constant)) == 1.0);
}

TEST_CASE("linear falls evenly and stays at the minimum") {
  const ScheduleOptions o = options(DecayKind::linear);
  CHECK(learning_rate_at(35, o) == Approx(0.8));
  CHECK(learning_rate_at(60, o) == Approx(0.6));
  CHECK(learning_rate_at(109, o) == Approx(0.208));
  CHECK(learning_rate_at(110, o) == Approx(0.2));
  CHECK(learning_rate_at(500, o) == Approx(0.2));
}

TEST_CASE("cosine falls along half a cosine") {
  const ScheduleOptions o = options(DecayKind::cosine);
  CHECK(learning_rate_at(35, o) == Approx(0.6 + 0.4 * 0.70710678));
  CHECK(learning_rate_at(60, o) == Approx(0.6));
  CHECK(learning_rate_at(85, o) == Approx(0.6 - 0.4 * 0.70710678));
  CHECK(learning_rate_at(110, o) == Approx(0.2));
}

TEST_CASE("wsd stays at the peak until the last share of all steps") {
  ScheduleOptions o = options(DecayKind::wsd);
  o.decay_share = 0.5;  // from step 55
  CHECK(learning_rate_at(55, o) == Approx(1.0));
  CHECK(learning_rate_at(66, o) == Approx(1.0 - 0.8 * 11 / 55));
  CHECK(learning_rate_at(110, o) == Approx(0.2));
  o.decay_share = 0;
  CHECK(learning_rate_at(109, o) == Approx(1.0));
  o.decay_share = 1;  // the warm-up comes first
  CHECK(learning_rate_at(60, o) == Approx(0.6));
}

TEST_CASE("a run that only warms up, and one without warm-up") {
  ScheduleOptions o = options(DecayKind::cosine);
  o.warmup_steps = o.steps = 4;
  CHECK(learning_rate_at(3, o) == Approx(1.0));
  o.warmup_steps = 0;
  CHECK(learning_rate_at(0, o) == Approx(1.0));
}

TEST_CASE("a name that no schedule has is our bug") {
  CHECK_THROWS_AS(decay_kind("cosin"), LogicError);
}
