// SPDX-License-Identifier: Apache-2.0
#include "collectives/pieces.hpp"

#include <algorithm>

namespace lockstep {

namespace {

using Stretches = std::vector<Elements>;

bool whole_everywhere(Collective what) {
  return what == Collective::all_reduce || what == Collective::broadcast ||
         what == Collective::reduce;
}

// The i-th stretch of each block of a full vector.
Stretches of_blocks(const Call& call, const Elements& full, int pieces, int i) {
  Stretches all;
  for (int r = 0; r < call.blocks.size(); ++r) {
    const Elements block = call.block(full, r);
    all.push_back(block.at(block_bounds(block.count, pieces, i)));
  }
  return all;
}

Stretches of_one(const Elements& elements, int pieces, int i) {
  return {elements.at(block_bounds(elements.count, pieces, i))};
}

Blocks blocks_of(const Call& call, int pieces, int i) {
  std::vector<std::size_t> counts;
  for (int r = 0; r < call.blocks.size(); ++r)
    counts.push_back(block_bounds(call.blocks[r].count, pieces, i).count);
  return Blocks(counts);
}

Elements total_of(const Stretches& stretches, DType dtype) {
  std::size_t count = 0;
  for (const Elements& e : stretches)
    count += e.count;
  return {nullptr, count, dtype};
}

}  // namespace

int num_pieces(const Call& call, std::size_t most_bytes) {
  return static_cast<int>(std::max<std::size_t>(1, (call.bytes() + most_bytes - 1) / most_bytes));
}

CallPiece piece_of(const Call& call, int rank, int pieces, int i) {
  const Collective what = call.what;
  CallPiece piece{.call = call, .in_place = whole_everywhere(what)};
  const bool in_is_block = what == Collective::all_gather || what == Collective::gather;
  const bool out_is_block = what == Collective::reduce_scatter || what == Collective::scatter;
  const auto stretches = [&](const Elements& e, bool one) {
    if (e.count == 0) return Stretches{};
    return one ? of_one(e, pieces, i) : of_blocks(call, e, pieces, i);
  };
  piece.given = stretches(call.in, in_is_block || piece.in_place);
  piece.gotten = stretches(call.out, out_is_block || piece.in_place);
  piece.call.in = total_of(piece.given, call.dtype);
  piece.call.out = total_of(piece.gotten, call.dtype);
  piece.call.blocks = piece.in_place
                          ? Blocks(block_bounds(call.count(), pieces, i).count, call.blocks.size())
                          : blocks_of(call, pieces, i);

  const bool to_root = what == Collective::reduce || what == Collective::gather;
  const bool from_root = what == Collective::broadcast || what == Collective::scatter;
  if (from_root && rank != call.root) piece.given.clear();
  if (to_root && rank != call.root) piece.gotten.clear();
  if (what == Collective::broadcast && rank == call.root) piece.gotten.clear();
  return piece;
}

}  // namespace lockstep
