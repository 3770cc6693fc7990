// SPDX-License-Identifier: Apache-2.0
// The two halves of R. Rabenseifner's algorithms, among the places of a folding: recursive halving
// reduces so that every place ends with its own range, recursive doubling gathers the ranges.
//
//   steps  log2(q) each, of q places
//   bytes  (q-1)/q * n each, sent per place
#pragma once

#include <vector>

#include "collectives/algorithms/patterns.hpp"
#include "collectives/transport.hpp"

namespace lockstep {

// Where the ranges of the places begin and end: q+1 indices.
using Cuts = std::vector<std::size_t>;
Cuts even_cuts(std::size_t count, const Folding& fold);
Cuts cuts_of(const Blocks& blocks, const Folding& fold);  // a place has the blocks of its ranks

// The range of the places first..first+num-1.
Elements range_of(const Elements& full, const Cuts& cuts, int first, int num);

// `work` ends with this place's range of the reduction of all `source`, and partial sums elsewhere;
// source may be work. `incoming` holds half the vector, as the cuts halve it. Lower places are on
// the left of every sum.
void halve(Transport& net, const Folding& fold, const Cuts& cuts, const Elements& work,
           const Elements& source, const Elements& incoming, ReduceOp op);

// Every place has its own range, and gets all.
void double_up(Transport& net, const Folding& fold, const Cuts& cuts, const Elements& full);

}  // namespace lockstep
