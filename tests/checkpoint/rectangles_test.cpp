// SPDX-License-Identifier: Apache-2.0
// Regions against the plainest possible arithmetic: lists of element numbers.
#include "runtime/checkpoint/rectangles.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

constexpr std::int64_t kColumns = 7;  // of the parameter

// The numbers of a region's elements in the whole parameter, in its order.
std::vector<std::int64_t> elements_of(const Rectangles& region) {
  std::vector<std::int64_t> all;
  for (const Rectangle& r : region) {
    for (std::int64_t row = 0; row < r.rows; ++row) {
      for (std::int64_t column = 0; column < r.columns; ++column)
        all.push_back((r.row + row) * kColumns + r.column + column);
    }
  }
  return all;
}

const Rectangles kCases[] = {
    {},
    {{0, 0, 6, 7}},
    {{2, 0, 1, 7}},
    {{0, 3, 6, 1}},
    {{1, 2, 4, 3}},
    {{0, 0, 2, 7}, {4, 0, 1, 7}},  // queries and values
    {{0, 5, 1, 2}, {1, 0, 3, 7}, {4, 0, 1, 3}},
};

}  // namespace

TEST_CASE("a stretch of a region has the elements of the list") {
  for (const Rectangles& region : kCases) {
    const auto all = elements_of(region);
    const auto n = static_cast<std::int64_t>(all.size());
    REQUIRE(count_of(region) == n);
    for (std::int64_t begin = 0; begin <= n; ++begin) {
      for (std::int64_t end = begin; end <= n; ++end) {
        const Rectangles stretch = stretch_of(region, begin, end);
        CHECK(elements_of(stretch) == std::vector(all.begin() + begin, all.begin() + end));
        CHECK(stretch.size() <= 3 * region.size());
      }
    }
  }
}

TEST_CASE("a stretch that ends behind the region ends with it") {
  CHECK(elements_of(stretch_of({{0, 0, 1, 3}}, 2, 9)) == std::vector<std::int64_t>{2});
  CHECK(stretch_of({{0, 0, 1, 3}}, 5, 9).empty());
}

TEST_CASE("copies between any two regions move what they have in common") {
  for (const Rectangles& wanted : kCases) {
    for (const Rectangles& stored : kCases) {
      const auto there = elements_of(stored), here = elements_of(wanted);
      std::vector<std::int64_t> result(here.size(), -1);
      for (const RowCopy& c : copies_between(wanted, stored)) {
        for (std::int64_t r = 0; r < c.rows; ++r) {
          for (std::int64_t i = 0; i < c.columns; ++i) {
            auto& to = result.at(static_cast<std::size_t>(c.to + r * c.to_stride + i));
            CHECK(to == -1);
            to = there.at(static_cast<std::size_t>(c.from + r * c.from_stride + i));
          }
        }
      }
      for (std::size_t i = 0; i < here.size(); ++i) {
        const bool stored_too = std::count(there.begin(), there.end(), here[i]) > 0;
        CHECK(result[i] == (stored_too ? here[i] : -1));
      }
    }
  }
}

TEST_CASE("a parameter is a matrix of its first dim") {
  const std::vector<std::int64_t> none, vector{5}, matrix{3, 4}, kernel{6, 2, 3};
  CHECK(matrix_of(none) == Rectangle{0, 0, 1, 1});
  CHECK(matrix_of(vector) == Rectangle{0, 0, 1, 5});
  CHECK(matrix_of(matrix) == Rectangle{0, 0, 3, 4});
  CHECK(matrix_of(kernel) == Rectangle{0, 0, 6, 6});
}
