// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/laws.hpp"

#include <cmath>

#include "tests/support/catch.hpp"
#include "tests/support/config_error.hpp"
#include "tests/support/thrown.hpp"

using namespace lockstep;

namespace {

LawFit law(Law which, double rate, double share, double coherence = 0) {
  LawFit fit{.law = which};
  fit.rate.value = rate;
  fit.share.value = share;
  fit.coherence.value = coherence;
  return fit;
}

std::vector<ScalingPoint> points_on(const LawFit& truth, std::initializer_list<double> ranks,
                                    double noise = 0, unsigned seed = 1) {
  std::vector<ScalingPoint> points;
  for (const double p : ranks) {
    // Two turns of an irrational step: a fixed, even spread of errors.
    const double u = std::fmod(0.618034 * (seed * 31 + p * 7 + std::sqrt(p)), 1.0);
    points.push_back({p, truth.at(p) * (1 + noise * (2 * u - 1))});
  }
  return points;
}

bool holds(const Figure& f, double truth) {
  return f.low <= truth && truth <= f.high;
}

}  // namespace

TEST_CASE("the textbook's forms") {
  // Amdahl: 5 % serial, 20 ranks: 1 / (0.05 + 0.95 / 20). Gustafson: 20 - 0.05 x 19.
  CHECK(law(Law::amdahl, 1, 0.05).at(20) == Approx(1 / (0.05 + 0.95 / 20)));
  CHECK(law(Law::gustafson, 1, 0.05).at(20) == Approx(20 - 0.05 * 19));
  CHECK(law(Law::usl, 2, 0.1, 0.01).at(3) == Approx(2 * 3 / (1 + 0.2 + 0.06)));
  CHECK(law(Law::usl, 1, 0.19, 0.01).peak_ranks().value == Approx(9));
}

TEST_CASE("points on a law give its parameters back") {
  for (const LawFit& truth :
       {law(Law::amdahl, 120, 0.03), law(Law::gustafson, 7, 0.2), law(Law::usl, 1e6, 0.02, 1e-4),
        law(Law::usl, 3, 0, 1e-6), law(Law::usl, 3, 0, 0), law(Law::gustafson, 2, 0)}) {
    const LawFit found = fit(truth.law, points_on(truth, {1, 2, 4, 16, 64, 512, 4096}));
    INFO(in_words(found));
    CHECK(found.rate.value == Approx(truth.rate.value).epsilon(1e-6));
    CHECK(found.share.value == Approx(truth.share.value).epsilon(1e-6).margin(1e-9));
    CHECK(found.coherence.value == Approx(truth.coherence.value).epsilon(1e-6).margin(1e-12));
    CHECK(found.worst_error < 1e-6);
  }
}

TEST_CASE("a 90 % interval holds the truth about nine times of ten") {
  const LawFit truth = law(Law::usl, 50, 0.05, 2e-4);
  int share = 0, coherence = 0;
  constexpr int kTrials = 200;
  for (unsigned seed = 0; seed < kTrials; ++seed) {
    const LawFit found = fit(Law::usl, points_on(truth, {1, 2, 4, 8, 16, 32, 64}, 0.05, seed));
    share += holds(found.share, truth.share.value);
    coherence += holds(found.coherence, truth.coherence.value);
  }
  for (const int held : {share, coherence}) {
    CHECK(held > kTrials * 0.8);
    CHECK(held <= kTrials);
  }
}

TEST_CASE("no parameter leaves what it can be, whatever the points") {
  // Faster than linear: neither contention nor coherence explain it.
  const std::vector<ScalingPoint> super = {{1, 1}, {2, 2.2}, {4, 4.6}, {8, 9.9}};
  for (const Law which : {Law::amdahl, Law::gustafson, Law::usl}) {
    const LawFit found = fit(which, super);
    CHECK(found.share.value == 0);
    CHECK(found.share.low == 0);
    CHECK(found.share.high >= 0);
    CHECK(found.coherence.value == 0);
  }
  // Slower with every rank: Gustafson cannot be more than all serial.
  CHECK(fit(Law::gustafson, std::vector<ScalingPoint>{{1, 4}, {2, 3}, {4, 2}}).share.value == 1);
}

TEST_CASE("strong scaling counts jobs, weak scaling work") {
  const std::vector<double> ranks = {1, 4}, seconds = {8, 2};
  CHECK(strong_scaling(ranks, seconds)[1].throughput == Approx(0.5));
  CHECK(weak_scaling(ranks, seconds)[1].throughput == Approx(2));
}

TEST_CASE("the words say the limit, the peak and how little few points say") {
  using test::contains;
  const std::string amdahl =
      in_words(fit(Law::amdahl, points_on(law(Law::amdahl, 1, 0.05), {1, 2, 8, 32})));
  CHECK(contains(amdahl, "serial share 5 %"));
  CHECK(contains(amdahl, "at most 20 times as fast"));

  const auto usl = points_on(law(Law::usl, 1, 0.19, 0.0025), {1, 4, 16, 64});
  CHECK(contains(in_words(fit(Law::usl, usl)), "more ranks hurt past 18"));
  const std::string few =
      in_words(fit(Law::usl, points_on(law(Law::usl, 1, 0.19, 0.0025), {1, 2, 4})));
  CHECK(contains(few, "beyond the largest count seen, 4"));
  CHECK(contains(few, "too few points"));

  const auto noisy = points_on(law(Law::usl, 1, 0.05, 0), {1, 2, 4, 8, 16}, 0.05);
  CHECK(contains(in_words(fit(Law::usl, noisy)), "not told apart from none"));
}

TEST_CASE("what cannot be fitted is an error of one line") {
  const auto message = [](Law which, std::vector<ScalingPoint> points) {
    return test::config_error([&] { fit(which, points); });
  };
  CHECK(message(Law::usl, {{1, 1}, {2, 2}, {2, 2}}) ==
        "Universal Scalability Law has 3 parameters and there are 2 rank counts; give 3 or more");
  CHECK(test::contains(message(Law::amdahl, {{1, 1}, {0, 2}}), "0 ranks"));
  CHECK(test::contains(message(Law::amdahl, {{1, 1}, {2, 0}}), "throughput 0"));
}
