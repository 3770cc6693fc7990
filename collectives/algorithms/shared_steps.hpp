// SPDX-License-Identifier: Apache-2.0
// Steps that the algorithms in shared memory have in common, and what they cost.
#pragma once

#include "collectives/algorithms/table.hpp"

namespace lockstep {

// Whether the ranks of such a group serve each other's calls in shared memory.
bool shares_calls(const GroupShape& group);

// Reduces elements [block.begin, +count) of what all ranks show, in rank order, into `out`: in one
// pass where they have addresses here, else fetched in pieces that stay in the second cache.
void reduce_shown(Transport& net, SharedMemory& memory, const Elements& out, const Block& block,
                  ReduceOp op);
double reduce_shown_seconds(const GroupShape& group, double bytes, const Links& links);

// What one rank reads of others, in `messages` pieces: infinite where it cannot.
double fetch_seconds(const GroupShape& group, double bytes, double messages, const Links& links);

// What is staged rather than shown, which takes a second synchronisation but copies once. Memory
// that all ranks address is read where it is; a system call has to pay first.
inline constexpr std::size_t kStagedInPlace = std::size_t{2} << 10;
constexpr std::size_t most_staged(MemoryKind memory) {
  return memory == MemoryKind::shared ? kStagedInPlace : kStageBytes;
}

double synchronisation_seconds(const GroupShape& group, int times, const Links& links);

// Rank i's part of a vector that all work on together: whole cache lines, so that no two write one.
Block slice_of(const Call& call, int ranks, int i);

}  // namespace lockstep
