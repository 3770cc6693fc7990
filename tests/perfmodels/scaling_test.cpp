// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/scaling.hpp"

#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/step_time.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/training.hpp"

using namespace lockstep;

namespace {

JobConfig job_of_64() {
  JobConfig job = test::small_job();
  job.model.hidden = 96;
  job.batch.global = 64;
  return job;
}

}  // namespace

TEST_CASE("strong scaling shares one batch, weak scaling gives each rank its own") {
  const Machine machine = find_machine("cpu");
  const auto strong = scale(job_of_64(), machine, Scaling::strong, {1, 2, 3, 64, 128});
  REQUIRE(strong.steps.size() == 3);
  CHECK(strong.skipped.size() == 2);  // 3 and 128 do not divide 64
  for (const ScaledStep& s : strong.steps)
    CHECK(s.sequences == 64);
  CHECK(strong.steps[1].seconds < strong.steps[0].seconds);

  const auto weak = scale(job_of_64(), machine, Scaling::weak, {1, 2, 3, 4096});
  REQUIRE(weak.steps.size() == 4);
  CHECK(weak.steps[3].sequences == 64 * 4096);
  double before = 0;
  for (const ScaledStep& s : weak.steps) {
    CHECK(s.seconds >= before);  // the same work, and more to communicate
    before = s.seconds;
  }
  CHECK(weak.steps[3].efficiency < 1);
  CHECK(weak.steps[3].efficiency ==
        Approx(weak.steps[0].seconds / weak.steps[3].seconds).epsilon(1e-9));
}

TEST_CASE("a point is what predict says of such a job") {
  const Machine machine = find_machine("a100");
  const auto weak = scale(job_of_64(), machine, Scaling::weak, {16});
  JobConfig job = job_of_64();
  job.parallel.data = 16;
  job.batch.global = 64 * 16;
  const auto record = record_step(job, 16, machine);
  CHECK(weak.steps[0].seconds == Approx(predict_step(*record, machine).seconds));
  CHECK(weak.laws.empty());
}

TEST_CASE("laws are fitted to the points, as many as there are enough of") {
  const Machine machine = find_machine("cpu");
  const auto strong = scale(job_of_64(), machine, Scaling::strong, {1, 2, 4, 8, 16, 32, 64});
  REQUIRE(strong.laws.size() == 2);
  CHECK(strong.laws[0].law == Law::amdahl);
  CHECK(strong.laws[1].law == Law::usl);
  CHECK(strong.laws[1].points == 7);
  CHECK(strong.laws[1].mean_error <= strong.laws[0].mean_error + 1e-3);
  const auto weak = scale(job_of_64(), machine, Scaling::weak, {1, 2});
  REQUIRE(weak.laws.size() == 1);
  CHECK(weak.laws[0].law == Law::gustafson);
}

TEST_CASE("no rank count that can be is an error") {
  CHECK(test::config_error([] { scale(job_of_64(), find_machine("cpu"), Scaling::strong, {3}); }) ==
        "strong scaling: 3 ranks: batch.global = 64 is not a multiple of 3");
}
