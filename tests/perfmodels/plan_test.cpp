// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/plan.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "models/registry.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "perfmodels/software.hpp"
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

bool only_cuts_batch(const Layout& l) {
  return l.degrees.tensor * l.degrees.pipeline == 1 && l.zero == 0 && l.recompute == "none";
}

}  // namespace

TEST_CASE("a layout is priced as a whole recording of it is") {
  const Machine machine = find_machine("cpu");
  const JobConfig job = job_of_64();
  const Plan found = plan(job, 4, machine, {.bucket_mb = {0.05}});
  std::set<std::int64_t> micro;
  for (const PricedLayout& p : found.layouts) {
    if (!only_cuts_batch(p.layout)) continue;
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

TEST_CASE("layouts that cut the model are priced nearly as a whole recording of them is") {
  const Machine machine = find_machine("a100");
  JobConfig job;
  job.job.precision = "bfloat16";
  job.model.layers = 8;
  job.model.hidden = 2048;
  job.model.heads = 16;
  job.model.sequence = 1024;
  job.model.vocabulary = 32000;
  job.batch.global = 32;
  const Plan found = plan(job, 8, machine);
  CHECK(found.seconds_per_layout < 1e-2);
  CHECK_FALSE(found.left_out.empty());
  constexpr std::size_t kEvery = 41;  // some 40 of 1700
  double misses = 0, largest = 0, memory_misses = 0;
  int count = 0;
  for (std::size_t i = 0; i < found.layouts.size(); i += kEvery) {
    const PricedLayout& p = found.layouts[i];
    INFO(text_of(p.layout));
    const auto record = record_step(with_layout(job, p.layout), 8, machine);
    const StepPrediction whole = predict_step(*record, machine);
    const double miss = std::abs(p.seconds / whole.seconds - 1);
    memory_misses += std::abs(p.memory_bytes / static_cast<double>(whole.memory.peak) - 1);
    misses += miss;
    largest = std::max(largest, miss);
    ++count;
  }
  CHECK(misses / count < 0.03);
  CHECK(memory_misses / count < 0.08);
  CHECK(largest < 0.12);
}

TEST_CASE("what is kept is as the job has it, and a key that layouts do not vary is an error") {
  const Machine machine = find_machine("cpu");
  JobConfig job = job_of_64();
  job.parallel.recompute = "selective";
  const Plan all = plan(job, 4, machine),
             some = plan(job, 4, machine, {.keep = {"parallel.recompute"}});
  CHECK(some.layouts.size() < all.layouts.size());
  CHECK_FALSE(some.layouts.empty());
  for (const PricedLayout& p : some.layouts)
    CHECK(p.layout.recompute == "selective");
  const auto kept = std::count_if(all.layouts.begin(), all.layouts.end(),
                                  [](const auto& p) { return p.layout.recompute == "selective"; });
  CHECK(static_cast<std::size_t>(kept) == some.layouts.size());

  job.parallel.pipeline = 2;
  job.batch.micro = 4;
  const Plan narrow = plan(job, 4, machine, {.keep = {"parallel.pipeline", "batch.micro"}});
  for (const PricedLayout& p : narrow.layouts) {
    CHECK(p.layout.degrees.pipeline == 2);
    CHECK(p.layout.micro == 4);
  }
  const std::string why =
      test::config_error([&] { plan(job, 4, machine, {.keep = {"parallel.colour"}}); });
  CHECK(why.find("--keep: \"parallel.colour\"") == 0);
  CHECK(why.find("batch.micro") != std::string::npos);

  job.parallel.pipeline = 7;
  const std::string nothing =
      test::config_error([&] { plan(job, 4, machine, {.keep = {"parallel.pipeline"}}); });
  CHECK(nothing.find("--keep holds other values") != std::string::npos);
}

TEST_CASE("layouts that the job's software cannot run are left out and counted") {
  const Machine machine = find_machine("a100");
  JobConfig job = job_of_64();
  job.job.software = "megatron-2021";
  job.job.precision = "bfloat16";
  job.model.layers = 8;
  const Plan found = plan(job, 8, machine);
  int counted = 0;
  for (const auto& [why, count] : found.left_out)
    counted += why.find("megatron-2021") == 0 ? count : 0;
  CHECK(counted > 0);
  for (const PricedLayout& p : found.layouts) {
    INFO(text_of(p.layout));
    CHECK(refusal(find_software(job.job.software), p.layout, job.model.layers).empty());
  }
}

TEST_CASE("every model of the table is planned, in layouts that it can run") {
  const Machine machine = find_machine("cpu");
  for (const ModelKind& kind : model_table()) {
    JobConfig job = job_of_64();
    job.model.kind = kind.name;
    job.model.heads = job.model.kv_heads = 4;
    const Plan found = plan(job, 4, machine);
    bool cut = false, again = false;
    for (std::size_t i = 0; i < found.layouts.size(); ++i) {
      const Layout& l = found.layouts[i].layout;
      cut = cut || l.degrees.tensor > 1;
      again = again || l.recompute != "none";
      INFO(kind.name << ": " << text_of(l));
      if (i % 40 == 0) CHECK_NOTHROW(record_step(with_layout(job, l), 4, machine));
    }
    CHECK(cut == kind.cuts_layers);
    CHECK(again == kind.recomputes);
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

TEST_CASE("ranks that no layout can use are an error that says why") {
  JobConfig job = job_of_64();
  job.model.kind = "mlp";
  job.model.layers = 2;
  CHECK(test::config_error([&] {
          plan(job, 7, find_machine("cpu"));
        }).find("no layout of 7 ranks is valid: ") == 0);
}

TEST_CASE("degrees multiply to the ranks") {
  const auto degrees = degrees_for(12);
  CHECK(degrees.size() == 18);
  for (const MeshDegrees& d : degrees)
    CHECK(d.product() == 12);
}
