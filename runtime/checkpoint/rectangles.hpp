// SPDX-License-Identifier: Apache-2.0
// Which elements of a parameter a rank has, whatever cut it: rectangles of the parameter as a
// matrix [dim 0, the rest] (a vector is one row). The elements lie in the order of the rectangles,
// each row-major. Loading in another layout is the intersection of what is wanted with what is
// stored. Pure arithmetic; costs the number of pairs of rectangles of one parameter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

struct Rectangle {
  std::int64_t row = 0, column = 0, rows = 0, columns = 0;

  std::int64_t count() const { return rows * columns; }
  bool operator==(const Rectangle&) const = default;
};

using Rectangles = std::vector<Rectangle>;

std::int64_t count_of(const Rectangles& region);

// All of a parameter of these dims.
Rectangle matrix_of(std::span<const std::int64_t> dims);

// The elements [begin, end) of a region, in its order: of each rectangle at most three.
Rectangles stretch_of(const Rectangles& region, std::int64_t begin, std::int64_t end);

// Rows of elements that two regions have in common; `from` and `to` count elements of the stored
// and of the wanted one.
struct RowCopy {
  std::int64_t from = 0, from_stride = 0, to = 0, to_stride = 0, rows = 0, columns = 0;
  bool operator==(const RowCopy&) const = default;
};
std::vector<RowCopy> copies_between(const Rectangles& wanted, const Rectangles& stored);

}  // namespace lockstep
