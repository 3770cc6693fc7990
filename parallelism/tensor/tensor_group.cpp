// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/tensor_group.hpp"

#include <utility>

namespace lockstep {

namespace {

// Rank r's rows of x[rows, channels], as elements.
Blocks blocks_of_rows(std::int64_t rows, std::int64_t channels, int ranks) {
  const auto M = static_cast<std::size_t>(rows), C = static_cast<std::size_t>(channels);
  if (rows % ranks == 0) return {M * C, ranks};
  std::vector<std::size_t> counts;
  for (int r = 0; r < ranks; ++r)
    counts.push_back(block_bounds(M, ranks, r).count * C);
  return Blocks(counts);
}

}  // namespace

Range TensorGroup::rows_of(std::int64_t rows) const {
  if (!shares_rows()) return {0, rows};
  const Block block = block_bounds(static_cast<std::size_t>(rows), size(), rank());
  const auto begin = static_cast<std::int64_t>(block.begin);
  return {begin, begin + static_cast<std::int64_t>(block.count)};
}

Range TensorGroup::block_of(std::int64_t n) const {
  expect(n % size() == 0, "a dim that the ranks of the tensor group do not divide");
  const std::int64_t count = n / size();
  return {rank() * count, (rank() + 1) * count};
}

TensorGroup::Pending TensorGroup::gather(const Tensor& x, std::int64_t rows) const {
  if (!moves_rows()) return {x};
  const std::int64_t channels = x.dim(1);
  Tensor all = Tensor::empty(x.device(), {rows, channels}, x.dtype());
  Work work = ranks_.all_gather(all, x, blocks_of_rows(rows, channels, size()));
  return {std::move(all), std::move(work)};
}

TensorGroup::Pending TensorGroup::reduce(Tensor partial) const {
  if (is_alone()) return {std::move(partial)};
  if (!shares_rows()) {
    Work work = ranks_.all_reduce(partial, ReduceOp::sum);
    return {std::move(partial), std::move(work)};
  }
  const std::int64_t rows = partial.dim(0), channels = partial.dim(1);
  Tensor mine = Tensor::empty(partial.device(), {rows_of(rows).count(), channels}, partial.dtype());
  Work work =
      ranks_.reduce_scatter(mine, partial, ReduceOp::sum, blocks_of_rows(rows, channels, size()));
  return {std::move(mine), std::move(work)};
}

}  // namespace lockstep
