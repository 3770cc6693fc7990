// SPDX-License-Identifier: Apache-2.0
// The order of samples: a permutation per epoch, another one in each, found without those before.
#include <algorithm>
#include <numeric>
#include <vector>

#include "runtime/data/sample_order.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

std::vector<std::int64_t> epoch_of(const SampleOrder& order, std::int64_t epoch) {
  std::vector<std::int64_t> windows;
  for (std::int64_t i = 0; i < order.num_windows(); ++i) {
    windows.push_back(order.window(epoch * order.num_windows() + i));
  }
  return windows;
}

}  // namespace

TEST_CASE("every epoch visits every window once") {
  for (const std::int64_t count : {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4097}) {
    const SampleOrder order(count, 7);
    std::vector<std::int64_t> all(count);
    std::iota(all.begin(), all.end(), 0);
    for (const std::int64_t epoch : {0, 1, 100}) {
      std::vector<std::int64_t> windows = epoch_of(order, epoch);
      std::sort(windows.begin(), windows.end());
      INFO("windows " << count << " epoch " << epoch);
      CHECK(windows == all);
    }
  }
}

TEST_CASE("epochs and seeds have orders of their own, the same every time") {
  const SampleOrder order(100, 1), same(100, 1), other(100, 2);
  CHECK(epoch_of(order, 0) == epoch_of(same, 0));
  CHECK(epoch_of(order, 0) != epoch_of(order, 1));
  CHECK(epoch_of(order, 0) != epoch_of(other, 0));
  CHECK_FALSE(std::is_sorted(epoch_of(order, 0).begin(), epoch_of(order, 0).end()));
}

TEST_CASE("the order does not favour a position") {
  // 6 windows: each should stand first in about 100 of 600 epochs. Sigma is 9: 5 sigma of room.
  const SampleOrder order(6, 3);
  std::vector<int> first(6);
  for (std::int64_t epoch = 0; epoch < 600; ++epoch)
    ++first[order.window(epoch * 6)];
  for (const int count : first) {
    CHECK(count > 55);
    CHECK(count < 145);
  }
}

TEST_CASE("large corpora need no table") {
  const std::int64_t count = (std::int64_t{1} << 40) + 1;
  const SampleOrder order(count, 1);
  for (const std::int64_t sample : {std::int64_t{0}, count - 1, 5 * count + 3}) {
    CHECK(order.window(sample) >= 0);
    CHECK(order.window(sample) < count);
  }
  CHECK(order.epoch(5 * count + 3) == 5);
}
