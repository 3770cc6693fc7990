// SPDX-License-Identifier: Apache-2.0
// Steps that are known from the algorithms: halves of a vector take twice as long a vector to
// become too long for a slot. And those that a curve shows.
#include "perfmodels/calibrate/protocol_steps.hpp"

#include "collectives/algorithms/shared_steps.hpp"
#include "perfmodels/calibrate/jumps.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

constexpr ShortBytes kLongest{.message = 4096, .staged = 96};

bool has(const std::vector<ProtocolStep>& steps, std::size_t bytes) {
  for (const ProtocolStep& s : steps) {
    if (s.below <= bytes && bytes < s.above) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("steps lie where messages and what is staged become too long") {
  const auto steps = protocol_steps(Collective::all_reduce, assumed_shape(2, 1), kLongest);
  CHECK(has(steps, 96));    // flat
  CHECK(has(steps, 4096));  // recursive doubling sends all of it
  CHECK(has(steps, 8192));  // a ring of two sends halves
  for (std::size_t i = 0; i < steps.size(); ++i) {
    CHECK(steps[i].below < steps[i].above);
    CHECK(static_cast<double>(steps[i].above) <= 1.05 * static_cast<double>(steps[i].below));
  }
  CHECK(has(protocol_steps(Collective::all_reduce, assumed_shape(4, 1), kLongest), 16384));
  CHECK(has(protocol_steps(Collective::all_gather, assumed_shape(2, 1), kLongest), 8192));
}

TEST_CASE("an odd element does not lengthen the messages of two ranks that divide them all") {
  const auto steps = protocol_steps(Collective::all_to_all, assumed_shape(2, 1), kLongest);
  CHECK(has(steps, 8196));
}

TEST_CASE("steps lie where ranks begin to show what they staged, in either memory") {
  for (const MemoryKind memory : {MemoryKind::plain, MemoryKind::shared}) {
    GroupShape group = assumed_shape(2, 1);
    group.memory = memory;
    const auto broadcast = protocol_steps(Collective::broadcast, group, kLongest);
    CHECK(has(broadcast, 96));
    const std::size_t staged = most_staged(memory);
    CHECK(has(broadcast, staged));
    CHECK(has(protocol_steps(Collective::all_gather, group, kLongest), 2 * staged));
  }
}

TEST_CASE("no size is in two steps") {
  for (const Algorithm* algorithm : algorithms()) {
    for (const int ranks : {2, 3, 4, 8}) {
      INFO(name_of(algorithm->what) << " on " << ranks);
      const auto steps = protocol_steps(algorithm->what, assumed_shape(ranks, 1), kLongest);
      for (std::size_t i = 1; i < steps.size(); ++i)
        CHECK(steps[i - 1].above < steps[i].below);
    }
  }
}

TEST_CASE("without common memory there are none") {
  GroupShape group = assumed_shape(2, 1);
  group.shared_memory = false;
  CHECK(protocol_steps(Collective::all_reduce, group, kLongest).empty());
  CHECK(protocol_steps(Collective::all_reduce, assumed_shape(4, 2), kLongest).empty());
}

TEST_CASE("a step shows on a flat curve as on a steep one, up or down") {
  const auto curve = [](double (*seconds)(double)) {
    std::vector<Point> points;
    for (double bytes = 1000; bytes < 40000; bytes *= 2)
      points.push_back({bytes, {seconds(bytes)}});
    return points;
  };
  const auto flat = curve([](double bytes) { return bytes < 3000 ? 7.0 : 14.0; });
  CHECK(steepness(flat, 1) == Approx(2));
  CHECK(steepness(flat, 0) <= 1);
  CHECK(steepness(flat, 2) == Approx(1));
  const auto steep = curve([](double bytes) { return bytes < 3000 ? bytes : 1.5 * bytes; });
  CHECK(steepness(steep, 1) == Approx(1.5));
  CHECK(steepness(steep, 3) == Approx(1));
  const auto smooth = curve([](double bytes) { return 7 + bytes / 1000; });
  for (std::size_t i = 0; i + 1 < smooth.size(); ++i)
    CHECK(steepness(smooth, i) < 1.2);
  const auto falling = curve([](double bytes) { return bytes < 3000 ? 5 * bytes : bytes; });
  CHECK(steepness(falling, 1) == Approx(2.5));
}
