// SPDX-License-Identifier: Apache-2.0
// The ranks that share each layer, and what the residual stream between layers looks like on them.
//
//   without sequence parallelism   every rank has all M = B T rows
//   with it                        rank r has block r of the M rows (near-equal blocks)
//
// Layers call these four; each is the backward of its neighbour. M rows of C channels, t ranks.
//   gather    rows of this rank -> all rows      all_gather, M C (t-1)/t elements sent; else nothing
//   reduce    partial sums -> rows of this rank  reduce_scatter, the same; else all_reduce, twice it
// M. Shoeybi et al., "Megatron-LM", 2019; V. Korthikanti et al., "Reducing activation
// recomputation", 2022.
#pragma once

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
  bool shares_rows() const { return rows_ == Rows::shared; }

  // Of M rows, those that this rank has between layers.
  Range rows_of(std::int64_t rows) const;
  // Of a dim of n that is cut: n is divisible by the size.
  Range block_of(std::int64_t n) const;

  // All M rows from the rows of each rank: x itself where each has all.
  Tensor gathered(const Tensor& x, std::int64_t rows) const;
  // The sum over the ranks of partial[M,C], of which this rank needs its rows. Started; `sum` is
  // partial itself (in place) where each rank has all rows.
  struct Reduction {
    Tensor sum;
    Work work;
    Tensor wait() && {
      work.wait();
      return std::move(sum);
    }
  };
  Reduction reduce(Tensor partial) const;

 private:
  Communicator ranks_;
  Rows rows_;
};

}  // namespace lockstep
