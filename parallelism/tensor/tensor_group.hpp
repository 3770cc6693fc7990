// SPDX-License-Identifier: Apache-2.0
// The ranks that share each layer, and what the residual stream between layers looks like on them.
//
//   without sequence parallelism   every rank has all M = B T rows
//   with it                        rank r has block r of the M rows (near-equal blocks)
//
// Layers call these two; each is the backward of the other. M rows of C channels, t ranks.
//   gather    rows of this rank -> all rows      all_gather, M C (t-1)/t elements sent; else
//   nothing reduce    partial sums -> rows of this rank  reduce_scatter, the same; else all_reduce,
//   twice it
// A group of one rank answers at once, with what it was given.
// M. Shoeybi et al., "Megatron-LM", 2019; V. Korthikanti et al., "Reducing activation
// recomputation", 2022.
#pragma once

#include <optional>

#include "collectives/communicator.hpp"
#include "runtime/nn/parameter.hpp"

namespace lockstep {

class TensorGroup {
 public:
  enum class Rows : std::uint8_t { all, shared };  // of the residual stream; shared: by sequence

  TensorGroup(Communicator ranks, Rows rows) : ranks_(std::move(ranks)), rows_(rows) {}

  const Communicator& ranks() const { return ranks_; }
  int rank() const { return ranks_.rank(); }
  int size() const { return ranks_.size(); }
  bool is_alone() const { return size() == 1; }  // its partial sums are complete
  bool shares_rows() const { return rows_ == Rows::shared; }

  // Of M rows, those that this rank has between layers.
  Range rows_of(std::int64_t rows) const;
  // Of a dim of n that is cut: n is divisible by the size.
  Range block_of(std::int64_t n) const;

  // A tensor that other ranks may still be at work on.
  struct Pending {
    Tensor result;
    std::optional<Work> work{};
    Tensor wait() && {
      if (work) work->wait();
      return std::move(result);
    }
  };
  // All M rows from the rows of each rank: x itself where each has all.
  Pending gather(const Tensor& x, std::int64_t rows) const;
  Tensor gathered(const Tensor& x, std::int64_t rows) const { return gather(x, rows).wait(); }
  // The sum over the ranks of partial[M,C], of which this rank needs its rows: partial itself (in
  // place) where each rank has all.
  Pending reduce(Tensor partial) const;

 private:
  bool moves_rows() const { return shares_rows() && !is_alone(); }

  Communicator ranks_;
  Rows rows_;
};

}  // namespace lockstep
