// SPDX-License-Identifier: Apache-2.0
// A call cut into calls of bounded size, which together do the same: what is staged through a
// second memory is then copied piece by piece, while other pieces travel.
//
// The piece of a vector is one stretch of it where every rank has all of it (all_reduce, broadcast,
// reduce), else one stretch of every block, so that each piece has the blocks of all ranks, too.
#pragma once

#include <vector>

#include "collectives/call.hpp"

namespace lockstep {

struct CallPiece {
  Call call;  // its elements lie nowhere yet; in and out may be one buffer where `in_place`
  bool in_place = false;
  // Stretches of the whole call's elements, in the order of the piece's: what this rank gives and
  // what it gets. Empty where it gives or gets nothing.
  std::vector<Elements> given{}, gotten{};
};

// As many on every rank. A barrier, and a call of nothing, is one piece.
int num_pieces(const Call& call, std::size_t most_bytes);
CallPiece piece_of(const Call& call, int rank, int pieces, int i);

}  // namespace lockstep
