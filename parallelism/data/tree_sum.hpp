// SPDX-License-Identifier: Apache-2.0
// One binary tree over the micro-batches of a step, in the order of the serial run: what
// job.determinism = "layout" sums gradients by. Neighbours are added in pairs, pairs in fours and
// so on; who has no neighbour goes up alone. Pure arithmetic.
//
// A data rank holds m micro-batches in a row. Where m is a power of two, or there is one rank, its
// part is a tree of its own, and the ranks' sums are the leaves of the rest: so every number of
// ranks makes the same additions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

// What happens when leaf `index` of `count` is there, and all before it were: the kept sums of
// these levels are added to it, in this order. The last one is the sum then; any other is kept as
// the sum of level kept_at(index).
std::vector<int> levels_added(std::int64_t index, std::int64_t count);
int kept_at(std::int64_t index);
// How many levels are kept at most.
int levels_of(std::int64_t count);

bool fits_tree(std::int64_t micro_batches, int data_ranks);

// The tree over the leaves that begin every `stride` elements: their sum replaces the first one.
// The others are scratch.
void sum_leaves(float* leaves, std::size_t stride, std::size_t count, int num_leaves);

}  // namespace lockstep
