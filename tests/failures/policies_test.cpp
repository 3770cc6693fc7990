// SPDX-License-Identifier: Apache-2.0
// Faults as texts, spikes, stragglers, and which jobs can have the bits of every layout: arithmetic
// without ranks.
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/config/job_config.hpp"
#include "runtime/failures/faults.hpp"
#include "runtime/failures/spikes.hpp"
#include "runtime/failures/stragglers.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"

using namespace lockstep;

TEST_CASE("a fault is a text") {
  const Fault fault = parse_fault("slow rank 3 step 10 steps 20 factor 2.5 life 1");
  CHECK(fault.kind == FaultKind::slow);
  CHECK(fault.rank == 3);
  CHECK(fault.step == 10);
  CHECK(fault.steps == 20);
  CHECK(fault.factor == 2.5);
  CHECK(fault.life == 1);
  CHECK(parse_fault("nan rank 0 step 1 in blocks.1.up.weight").in == "blocks.1.up.weight");
}

TEST_CASE("a wrong fault says what is allowed") {
  const auto error_of = [](const std::string& text) {
    return test::config_error([&] { parse_fault(text); });
  };
  CHECK(error_of("explode rank 1 step 2") ==
        "faults.inject: \"explode rank 1 step 2\": begins with 'explode'; allowed: kill, stop, "
        "terminate, delay, slow, nan, spike, corrupt, fail_write");
  const char* const wrong[][2] = {
      {"", "begins with ''"},
      {"kill step 2", "must name a rank and a step"},
      {"kill rank 1", "must name a rank and a step"},
      {"kill rank -1 step 2", "rank '-1' is no number from 0 on"},
      {"kill rank 1 step 0", "step '0' is no number from 1 on"},
      {"kill rank 1 step 2x", "step '2x'"},
      {"kill rank 1 step", "nothing stands behind 'step'"},
      {"slow rank 1 step 2 factor 0.5", "factor '0.5' is no number from 1 on"},
      {"delay rank 1 step 2 seconds nan", "seconds 'nan'"},
      {"kill rank 1 step 2 when later", "'when' is none of rank, step"},
  };
  for (const auto& [text, part] : wrong) {
    INFO(text);
    CHECK(error_of(text).find(part) != std::string::npos);
  }
  CHECK(test::config_error([] { Faults({"kill rank 2 step 1"}, 0, 2, 0); }).find("only 2 ranks") !=
        std::string::npos);
}

TEST_CASE("a fault strikes its rank in its step and life, once") {
  const std::vector<std::string> texts = {"nan rank 1 step 3 in loss", "nan rank 1 step 4",
                                          "corrupt rank 1 step 5", "nan rank 1 step 3 life 1"};
  Faults here(texts, 1, 2, 0), elsewhere(texts, 0, 2, 0), later(texts, 1, 2, 1);
  for (std::int64_t step = 1; step <= 6; ++step) {
    INFO("step " << step);
    for (Faults* faults : {&here, &elsewhere, &later})
      faults->begin_step(step);
    CHECK(here.poisons_loss() == (step == 3));
    CHECK_FALSE(here.poisons_loss());
    CHECK(here.poisons("any") == (step == 4));
    CHECK_FALSE(here.poisons("any"));
    CHECK_FALSE(here.damages(4));
    CHECK(here.damages(1000) == (step == 5));
    CHECK_FALSE(here.damages(1000));
    CHECK_FALSE((elsewhere.poisons_loss() || elsewhere.poisons("any") || elsewhere.damages(1000)));
    CHECK(later.poisons("any") == (step == 3));
  }
}

TEST_CASE("a flipped bit does not hide") {
  std::array<float, 5> values = {1, 1, 1e-3f, 1, 1};
  flip_bit(reinterpret_cast<std::byte*>(values.data()), values.size(), sizeof(float));
  CHECK(values[2] > 1e30f);
  flip_bit(reinterpret_cast<std::byte*>(values.data()), values.size(), sizeof(float));
  CHECK(values == std::array<float, 5>{1, 1, 1e-3f, 1, 1});
}

TEST_CASE("a spike is far above the mean of the last steps") {
  Spikes spikes(6, 20);
  const auto loss_at = [](int step) { return 3.0 + 0.1 * std::sin(step); };
  for (int step = 0; step < 9; ++step)
    spikes.add(loss_at(step), 1.0);
  CHECK(spikes.judge(100, 1).empty());  // half a window is too little to judge by
  for (int step = 9; step < 40; ++step) {
    CHECK(spikes.judge(loss_at(step), 1.0).empty());
    spikes.add(loss_at(step), 1.0);
  }
  CHECK(spikes.judge(3.3, 1).empty());
  CHECK(spikes.judge(2.0, 0.5).empty());  // downwards is no spike
  CHECK(spikes.judge(3.7, 1).find("the loss 3.7 is") == 0);
  CHECK(spikes.judge(3.0, 2).find("the gradient norm 2 is") == 0);
}

TEST_CASE("a straggler is the rank that the others wait for") {
  const std::array<float, 4> even = {1.0f, 1.1f, 0.9f, 1.2f}, late = {1.0f, 1.1f, 3.1f, 1.2f};
  CHECK_FALSE(find_straggler(even, 1.3, 1.5));
  const auto found = find_straggler(late, 3.2, 1.5);
  REQUIRE(found);
  CHECK(found->rank == 2);
  CHECK(found->median == Approx(1.1));
  CHECK(found->share == Approx(2.0 / 3.2));
  CHECK_FALSE(find_straggler(late, 3.2, 3.0));   // not so many times the median
  CHECK_FALSE(find_straggler(late, 50.0, 1.5));  // costs hardly anything
  const std::array<float, 2> two = {2.0f, 5.0f};
  CHECK(find_straggler(two, 5.0, 1.5)->rank == 1);
  const std::array<float, 1> alone = {2.0f};
  CHECK_FALSE(find_straggler(alone, 2.0, 1.5));
}

TEST_CASE("determinism = layout says what it does not cover, and what to do") {
  const auto error_of = [](const std::vector<std::string>& more) {
    std::vector<std::string> sets = {"job.determinism=layout", "job.threads=1", "batch.micro=2"};
    sets.insert(sets.end(), more.begin(), more.end());
    return test::config_error([&] { parse_job("", "job.toml", sets); });
  };
  CHECK(error_of({}) == "no error");
  CHECK(error_of({"parallel.tensor=2"}) ==
        "job.toml: job.determinism = \"layout\" holds for every degree of data and pipeline, but "
        "parallel.tensor = 2 sums inside of layers: use parallel.tensor = 1, or job.determinism = "
        "\"run\"");
  for (const char* set :
       {"parallel.zero=1", "collectives.compression=int8", "batch.micro=0", "job.threads=0"}) {
    INFO(set);
    const std::string said = error_of({set});
    CHECK(said.find(std::string(set).substr(0, std::string(set).find('='))) != std::string::npos);
    CHECK(said.find(": use ") != std::string::npos);
  }
}
