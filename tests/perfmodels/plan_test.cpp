// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan.hpp"

#include <set>

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
  job.parallel.bucket_mb = 0.1;
  return job;
}

}  // namespace

TEST_CASE("a layout is priced as a whole recording of it is") {
  const Machine machine = find_machine("cpu");
  const JobConfig job = job_of_64();
  const Plan found = plan(job, 4, machine, {.bucket_mb = {0.05}});
  std::set<std::int64_t> micro;
  for (const PricedLayout& p : found.layouts) {
    INFO(text_of(p.layout));
    const auto record = record_step(with_layout(job, p.layout), 4, machine);
    const StepPrediction whole = predict_step(*record, machine);
    CHECK(p.seconds == Approx(whole.seconds).epsilon(1e-6));
    CHECK(p.exposed == Approx(whole.breakdown.exposed).epsilon(1e-6).margin(1e-9));
    CHECK(p.hidden == Approx(whole.breakdown.hidden).epsilon(1e-6).margin(1e-9));
    CHECK(p.memory_bytes == Approx(static_cast<double>(whole.memory.peak)).epsilon(1e-3));
    micro.insert(p.layout.micro);
  }
  CHECK(micro == std::set<std::int64_t>{1, 2, 4, 8, 16});
}

TEST_CASE("the fastest that fits is first, what does not fit is last and says why") {
  Machine machine = find_machine("cpu");
  const JobConfig job = job_of_64();
  const Plan all = plan(job, 4, machine);
  CHECK(all.num_fitting == all.layouts.size());
  double least = 1e99, most = 0, before = 0;
  for (const PricedLayout& p : all.layouts) {
    CHECK(p.seconds >= before);
    before = p.seconds;
    least = std::min(least, p.memory_bytes);
    most = std::max(most, p.memory_bytes);
  }
  REQUIRE(least < most);

  machine.memory_bytes = (least + most) / 2;
  const Plan some = plan(job, 4, machine);
  CHECK(some.layouts.size() == all.layouts.size());
  CHECK(some.num_fitting > 0);
  CHECK(some.num_fitting < all.num_fitting);
  for (std::size_t i = 0; i < some.layouts.size(); ++i) {
    const PricedLayout& p = some.layouts[i];
    CHECK(p.fits == (i < some.num_fitting));
    CHECK(p.fits == (p.memory_bytes <= machine.memory_bytes));
    if (!p.fits) CHECK(p.reason.find("a device has") != std::string::npos);
  }
}

TEST_CASE("one rank has nothing to communicate, and what the job names is not varied") {
  const Machine machine = find_machine("cpu");
  JobConfig job = job_of_64();
  for (const PricedLayout& p : plan(job, 1, machine).layouts) {
    CHECK(p.exposed == Approx(0).margin(1e-5));
    CHECK(p.layout.algorithm == "auto");
  }
  job.collectives.algorithm = "ring";
  for (const PricedLayout& p : plan(job, 4, machine).layouts)
    CHECK(p.layout.algorithm == "ring");
}

TEST_CASE("ranks that cannot share the batch are an error that says so") {
  CHECK(test::config_error([] { plan(job_of_64(), 3, find_machine("cpu")); }) ==
        "no layout of 3 ranks is valid: batch.global = 64 is not a multiple of parallel.data = 3");
}

TEST_CASE("degrees are those that this version can run") {
  const auto degrees = degrees_for(12);
  REQUIRE(degrees.size() == 1);
  CHECK(degrees.front() == MeshDegrees{.data = 12});
}
