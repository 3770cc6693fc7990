// SPDX-License-Identifier: Apache-2.0
// The tree over micro-batches makes the same additions whoever holds which of them: sums are
// written out as texts.
#include "parallelism/data/tree_sum.hpp"

#include <map>
#include <string>

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// Leaves of one rank, added one after the other as TreeGradients does it. The order within a pair
// is free, so both are written in order.
struct Sum {
  std::int64_t first = 0;
  std::string text{};
};

Sum operator+(const Sum& a, const Sum& b) {
  const auto& [low, high] = a.first < b.first ? std::pair(a, b) : std::pair(b, a);
  return {low.first, "(" + low.text + "+" + high.text + ")"};
}

Sum over_micro_batches(std::int64_t first, std::int64_t count) {
  std::map<int, Sum> kept;
  for (std::int64_t i = 0; i < count; ++i) {
    Sum leaf{first + i, std::to_string(first + i)};
    for (const int level : levels_added(i, count))
      leaf = leaf + kept.at(level);
    if (i + 1 == count) return leaf;
    CHECK(kept_at(i) < levels_of(count));
    kept[kept_at(i)] = leaf;
  }
  return {};
}

Sum over_ranks(std::vector<Sum> leaves) {
  for (std::size_t apart = 1; apart < leaves.size(); apart *= 2) {
    for (std::size_t leaf = 0; leaf + apart < leaves.size(); leaf += 2 * apart)
      leaves[leaf] = leaves[leaf] + leaves[leaf + apart];
  }
  return leaves.front();
}

Sum tree(std::int64_t micro_batches, int ranks) {
  std::vector<Sum> leaves;
  const std::int64_t share = micro_batches / ranks;
  for (int r = 0; r < ranks; ++r)
    leaves.push_back(over_micro_batches(r * share, share));
  return over_ranks(leaves);
}

}  // namespace

TEST_CASE("every number of data ranks makes the same additions") {
  CHECK(tree(4, 1).text == "((0+1)+(2+3))");
  CHECK(tree(5, 1).text == "(((0+1)+(2+3))+4)");
  int splits = 0;
  for (std::int64_t all = 1; all <= 48; ++all) {
    for (int ranks = 1; ranks <= all; ++ranks) {
      if (all % ranks != 0 || !fits_tree(all / ranks, ranks)) continue;
      INFO(all << " micro-batches on " << ranks << " ranks");
      CHECK(tree(all, ranks).text == tree(all, 1).text);
      ++splits;
    }
  }
  CHECK(splits > 100);
  CHECK_FALSE(fits_tree(3, 2));
  CHECK(tree(6, 2).text != tree(6, 1).text);  // what it refuses would differ
}

TEST_CASE("leaves in memory are summed by the same tree") {
  constexpr std::size_t kCount = 5000;  // several chunks
  for (const int leaves : {1, 2, 3, 4, 5, 7, 8}) {
    std::vector<float> values(kCount * static_cast<std::size_t>(leaves));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = 1.0f / static_cast<float>(i % 97 + 1);
    const auto at = [&](int leaf, std::size_t i) {
      return values[static_cast<std::size_t>(leaf) * kCount + i];
    };
    std::vector<float> expected;
    for (std::size_t i = 0; i < kCount; ++i) {
      std::vector<float> level;
      for (int leaf = 0; leaf < leaves; ++leaf)
        level.push_back(at(leaf, i));
      while (level.size() > 1) {
        std::vector<float> next;
        for (std::size_t k = 0; k < level.size(); k += 2)
          next.push_back(k + 1 < level.size() ? level[k] + level[k + 1] : level[k]);
        level = next;
      }
      expected.push_back(level.front());
    }
    sum_leaves(values.data(), kCount, kCount, leaves);
    INFO(leaves << " leaves");
    CHECK(std::vector<float>(values.begin(), values.begin() + kCount) == expected);
  }
}
