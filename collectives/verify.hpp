// SPDX-License-Identifier: Apache-2.0
// Proves a schedule right, for its number of ranks and its count, by carrying it out on symbols: an
// element is no number but {index in the full vector, how it was added up from whose}. Shown are
//
//   every element of every result holds every contribution it should hold exactly once, and the
//   ranks of an all-reduce add it up alike, so that they get the same bits; inputs apart are left
//   alone; messages match in order and size; nobody touches what is being received or changes what
//   is being sent; there is no deadlock, even where a send is complete only when the receive is
//   posted; no rank leaves a barrier before all have come; in shared memory, whatever one rank
//   writes and another touches has a barrier or messages between.
//
// One order of execution proves all: what messages and barriers leave open is shown to be apart.
// Time and memory are those of the operation itself with 8 bytes per element (shared memory: some
// 64), in one thread.
#pragma once

#include <string>

#include "collectives/record.hpp"

namespace lockstep {

// The first error in a line; empty if the schedule is right.
std::string verify(const Schedule& schedule);

}  // namespace lockstep
