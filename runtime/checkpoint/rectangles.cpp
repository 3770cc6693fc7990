// SPDX-License-Identifier: Apache-2.0
#include "runtime/checkpoint/rectangles.hpp"

#include <algorithm>

namespace lockstep {

namespace {

void add(Rectangles& region, const Rectangle& r) {
  if (r.count() > 0) region.push_back(r);
}

// The elements [begin, end) of one rectangle: the rest of a row, whole rows, the start of a row.
void add_stretch(Rectangles& region, const Rectangle& r, std::int64_t begin, std::int64_t end) {
  const std::int64_t first = begin / r.columns, last = end / r.columns;
  const std::int64_t from = begin % r.columns, to = end % r.columns;
  if (first == last) {
    add(region, {r.row + first, r.column + from, 1, to - from});
    return;
  }
  const std::int64_t whole = from == 0 ? first : first + 1;
  if (from > 0) add(region, {r.row + first, r.column + from, 1, r.columns - from});
  add(region, {r.row + whole, r.column, last - whole, r.columns});
  add(region, {r.row + last, r.column, 1, to});
}

Rectangle common(const Rectangle& a, const Rectangle& b) {
  const std::int64_t row = std::max(a.row, b.row), column = std::max(a.column, b.column);
  return {row, column, std::min(a.row + a.rows, b.row + b.rows) - row,
          std::min(a.column + a.columns, b.column + b.columns) - column};
}

std::int64_t offset_in(const Rectangle& outer, const Rectangle& inner) {
  return (inner.row - outer.row) * outer.columns + inner.column - outer.column;
}

}  // namespace

std::int64_t count_of(const Rectangles& region) {
  std::int64_t count = 0;
  for (const Rectangle& r : region)
    count += r.count();
  return count;
}

Rectangle matrix_of(std::span<const std::int64_t> dims) {
  Rectangle all{0, 0, 1, 1};
  for (std::size_t i = 0; i < dims.size(); ++i)
    (i == 0 && dims.size() > 1 ? all.rows : all.columns) *= dims[i];
  return all;
}

Rectangles stretch_of(const Rectangles& region, std::int64_t begin, std::int64_t end) {
  Rectangles result;
  std::int64_t at = 0;  // the first element of the rectangle
  for (const Rectangle& r : region) {
    const std::int64_t from = std::max(begin, at), to = std::min(end, at + r.count());
    if (from < to) add_stretch(result, r, from - at, to - at);
    at += r.count();
  }
  return result;
}

std::vector<RowCopy> copies_between(const Rectangles& wanted, const Rectangles& stored) {
  std::vector<RowCopy> copies;
  std::int64_t to = 0;
  for (const Rectangle& w : wanted) {
    std::int64_t from = 0;
    for (const Rectangle& s : stored) {
      const Rectangle both = common(w, s);
      if (both.rows > 0 && both.columns > 0) {
        copies.push_back({from + offset_in(s, both), s.columns, to + offset_in(w, both), w.columns,
                          both.rows, both.columns});
      }
      from += s.count();
    }
    to += w.count();
  }
  return copies;
}

}  // namespace lockstep
