// SPDX-License-Identifier: Apache-2.0
// Where the kernels of low_rank.cu find what they work at: the layout as tables in the memory of the
// GPU, and how large their grids are.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/kernels/cuda_code.cuh"
#include "runtime/kernels/low_rank.hpp"
#include "runtime/tensor/transfer.hpp"

namespace lockstep::kernels::cuda {

constexpr std::int64_t kRowsOfTile = 512;  // of M that one block sums up for Q

// With how many rows, tiles and columns of factors the matrices before it have, and where its part
// of the partial sums begins.
struct Matrix {
  std::int64_t begin, rows, columns, rank, p, q;
  std::int64_t first_row, first_tile, first_column, partial;

  LOCKSTEP_HD std::int64_t strips() const { return (columns + kWarp - 1) / kWarp; }
  LOCKSTEP_HD std::int64_t ranges() const { return (rows + kRowsOfTile - 1) / kRowsOfTile; }
};
struct Whole {
  std::int64_t begin, count, p, first;
};

template <class Entry>
struct Table {
  const Entry* entries;
  int num;

  explicit Table(const Tensor& t)
      : entries(reinterpret_cast<const Entry*>(t.raw())),
        num(static_cast<int>(t.bytes() / sizeof(Entry))) {}

  // The last entry that begins at or before `at`.
  __device__ Entry of(std::int64_t Entry::*first, std::int64_t at) const {
    int low = 0, high = num - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (entries[middle].*first <= at)
        low = middle;
      else
        high = middle - 1;
    }
    return entries[low];
  }
};

// What all matrices have together: the grids.
inline Matrix end_of(const std::vector<LowRankMatrix>& matrices, std::vector<Matrix>* table) {
  Matrix next{};
  for (const LowRankMatrix& m : matrices) {
    next.begin = m.begin;
    next.rows = m.rows;
    next.columns = m.columns;
    next.rank = m.rank;
    next.p = m.p;
    next.q = m.q;
    if (table) table->push_back(next);
    next.first_row += m.rows;
    next.first_tile += next.strips() * next.ranges();
    next.first_column += m.rank;
    next.partial += next.ranges() * m.rank * m.columns;
  }
  return next;
}

template <class Entry>
Tensor table_of(Device& device, const std::vector<Entry>& entries) {
  const std::size_t bytes = entries.size() * sizeof(Entry);
  Tensor table = Tensor::empty(device, {static_cast<std::int64_t>(bytes)}, DType::uint8);
  upload(table, entries.data(), bytes);
  return table;
}

}  // namespace lockstep::kernels::cuda
