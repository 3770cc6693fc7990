// SPDX-License-Identifier: Apache-2.0
// A call of any collective by its size: what is priced, measured and benchmarked.
#pragma once

#include "collectives/call.hpp"

namespace lockstep {

struct Sample {
  Collective what = Collective::all_reduce;
  std::size_t count = 0;  // n; all_to_all takes the part that the ranks divide
  DType dtype = DType::float32;
  ReduceOp op = ReduceOp::sum;
  int ranks = 1, rank = 0;  // the root is rank 0
  MemoryKind memory = MemoryKind::plain;

  Blocks blocks() const;
  // Elements of this rank's input and output: zero where it has none.
  std::size_t in_count() const;
  std::size_t out_count() const;
  bool can_be_in_place() const { return what != Collective::all_to_all; }

  // On own memory for each of them; null where only the price is asked for.
  Call apart(std::byte* out, std::byte* in) const;
  // The smaller of input and output is a view of the larger. In place where possible.
  Call in_place(std::byte* memory) const;
};

}  // namespace lockstep
