// SPDX-License-Identifier: Apache-2.0
// Made-up visits to a machine with two states, and what counts of them.
#include "perfmodels/calibrate/states.hpp"

#include <cmath>
#include <random>

#include "perfmodels/calibrate/statistics.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// Meetings of about `seconds`.
std::vector<Watched> visits_of(double seconds, int n, std::mt19937& random) {
  std::uniform_real_distribution<double> about(0.85, 1.2);
  std::vector<Watched> visits;
  for (int i = 0; i < n; ++i)
    visits.push_back({seconds * about(random), seconds * about(random)});
  return visits;
}

}  // namespace

TEST_CASE("two states are told apart, the more common one first") {
  std::mt19937 random(1);
  std::vector<Watched> visits = visits_of(0.07e-6, 300, random);
  const std::vector<Watched> apart = visits_of(0.25e-6, 600, random);
  visits.insert(visits.end(), apart.begin(), apart.end());
  for (int i = 0; i < 100; ++i)
    visits.push_back({0.07e-6, 0.25e-6});  // it changed meanwhile
  std::shuffle(visits.begin(), visits.end(), random);
  const std::vector<MachineState> states = states_of(visits);
  REQUIRE(states.size() >= 2);
  CHECK(states[0].share == Approx(0.6).margin(0.01));
  CHECK(states[1].share == Approx(0.3).margin(0.01));
  CHECK(states[0].holds({0.25e-6, 0.24e-6}));
  CHECK_FALSE(states[0].holds({0.07e-6, 0.07e-6}));
  CHECK_FALSE(states[0].holds({0.07e-6, 0.25e-6}));
}

TEST_CASE("a machine of one state has one, and nobody's visits none") {
  std::mt19937 random(2);
  const std::vector<MachineState> states = states_of(visits_of(1e-6, 2000, random));
  REQUIRE(states.size() == 1);
  CHECK(states[0].share == 1);
  CHECK(states_of({}).empty());
}

TEST_CASE("figures are of the visits that count, and of all where none does") {
  Samples samples;
  for (const double seconds : {3.0, 1.0, 3.1, 1.1, 2.9}) {
    samples.begin_visit();
    samples.add(seconds);
    samples.add(seconds);
  }
  CHECK(samples.num_counted() == 5);
  CHECK(samples.figure().value == 2.9);
  samples.count_only({false, true, false, true, false});
  CHECK(samples.num_counted() == 2);
  CHECK(samples.figure().value == Approx(1.05));
  CHECK(samples.figure().high == 1.1);
  CHECK(samples.settled(0.2));
  samples.count_only({false, true, false, false, false});
  CHECK(samples.figure().value == 1);
  CHECK_FALSE(samples.settled(0.2));
  samples.count_only(std::vector<bool>(5, false));
  CHECK(samples.figure().value == 2.9);
  CHECK_FALSE(samples.settled(0.2));
}

TEST_CASE("what was seen in a rarer state moves as its neighbours do") {
  const std::vector<InBoth> both{{100, 3, 1}, {400, 1.5, 1}};
  const Figure seen{10, 8, 14};
  CHECK(as_usual(seen, 100, both).value == Approx(30));
  CHECK(as_usual(seen, 400, both).value == Approx(15));
  CHECK(as_usual(seen, 200, both).value == Approx(10 * std::sqrt(3 * 1.5)));
  CHECK(as_usual(seen, 10, both).value == Approx(30));  // beyond the ends as at the ends
  CHECK(as_usual(seen, 9000, both).value == Approx(15));
  CHECK(as_usual(seen, 100, both).low == Approx(24));
  CHECK(as_usual(seen, 100, both).high == Approx(42));
  CHECK(as_usual(seen, 7, {{50, 2, 4}}).value == Approx(5));
}
