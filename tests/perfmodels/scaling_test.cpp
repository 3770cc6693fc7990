// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/scaling.hpp"

#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/scaling_remedy.hpp"
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
  job.parallel.data = 16;  // 4 sequences each, where the job has no layout of its own
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

TEST_CASE("tensor groups and pipelines stay: copies of the model are added") {
  const Machine machine = find_machine("a100");
  JobConfig job = job_of_64();
  job.model.vocabulary = 64;
  job.parallel.tensor = 3;
  job.parallel.pipeline = 2;
  job.batch.micro = 2;
  for (const Scaling kind : {Scaling::strong, Scaling::weak}) {
    const auto curve = scale(job, machine, kind, {1, 6, 12, 18, 48});
    const bool strong = kind == Scaling::strong;
    REQUIRE(curve.steps.size() == (strong ? 3u : 4u));  // 3 copies cannot share 64 sequences
    CHECK(curve.steps[0].ranks == 6);
    CHECK(curve.steps[1].sequences == (strong ? 64 : 128));
    CHECK(curve.steps.back().nodes == 6);
    CHECK(curve.skipped[0].why ==
          "1 ranks: parallel.tensor x pipeline = 6 does not divide the ranks");
    job.parallel.data = 2;
    const auto record = record_step(job, 12, machine);
    if (strong) CHECK(curve.steps[1].seconds == Approx(predict_step(*record, machine).seconds));
    job.parallel.data = 0;
  }
}

TEST_CASE("a job deserves the most ranks that are efficient and fit") {
  ScalingCurve curve;
  const auto add = [&](int ranks, double speed, bool fits) {
    ScaledStep s{.ranks = ranks, .nodes = ranks};
    s.seconds = 3600 / speed;
    s.tokens_per_second = speed;
    s.fits = fits;
    curve.steps.push_back(s);
  };
  add(1, 1, false);
  CHECK(!advise(curve, 0.7));
  add(2, 1, true);  // the first that fits is what counts
  add(4, 1.9, true);
  add(8, 3, true);
  add(16, 4, true);
  const auto chosen = [&](double least) { return advise(curve, least)->most.ranks; };
  CHECK(chosen(1) == 2);
  CHECK(chosen(0.9) == 4);
  CHECK(chosen(0.7) == 8);
  CHECK(chosen(0) == 16);
  CHECK(advise(curve, 0.9)->next->ranks == 8);
  CHECK(advise(curve, 0.9)->first.ranks == 2);
  CHECK(!advise(curve, 0)->next);
  CHECK(advise(curve, 0.9)->most.node_hours(19) == Approx(40));
}

TEST_CASE("a remedy is what predict says of the changed job, and none where none helps") {
  const Machine machine = find_machine("a100");
  JobConfig job = job_of_64();
  job.model.vocabulary = 64;
  job.model.layers = 8;
  job.model.hidden = 768;
  job.parallel.bucket_mb = 0.1;
  const auto strong = scale(job, machine, Scaling::strong, {8, 64});
  const ScaledStep& at = strong.steps[1];
  const auto remedy = remedy_at(job, machine, at);
  REQUIRE(remedy);
  CHECK(remedy->step.seconds < 0.95 * at.seconds);
  CHECK(remedy->step.efficiency == Approx(at.efficiency * at.seconds / remedy->step.seconds));

  const JobConfig changed = parse_job(to_toml(job), "changed", {remedy->key + "=" + remedy->value});
  CHECK(scale(changed, machine, Scaling::strong, {64}).steps[0].seconds == remedy->step.seconds);
  for (const char* zero : {"0", "1", "2", "3"}) {
    const JobConfig other =
        parse_job(to_toml(job), "other", {std::string("parallel.zero=") + zero});
    CHECK(scale(other, machine, Scaling::strong, {64}).steps[0].seconds >= remedy->step.seconds);
  }

  job.parallel.tensor = 8;  // one copy: no sum of gradients that could be made otherwise
  job.model.heads = 8;
  CHECK(!remedy_at(job, machine, scale(job, machine, Scaling::strong, {8}).steps[0]));
}

TEST_CASE("no rank count that can be is an error") {
  CHECK(test::config_error([] { scale(job_of_64(), find_machine("cpu"), Scaling::strong, {3}); }) ==
        "strong scaling: 3 ranks: batch.global = 64 is not a multiple of 3");
}
