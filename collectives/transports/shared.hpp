// SPDX-License-Identifier: Apache-2.0
// Ranks that share memory: processes of one node, or threads of one process.
//
// State is per group: a segment with flags on lines of their own, areas to stage short vectors, and
// a small ring of slots for each ordered pair of ranks. A message that fits a slot is copied into
// it and the sender goes on; of a longer one only the address is passed, and the receiver copies it
// straight from the sender's memory. Where it may not (no common mapping, no process_vm_readv), the
// message goes through the slots in pieces.
//
// Costs: a barrier is one store and p-1 loads of other ranks' lines; a long message moves 2 n bytes
// (read and write), through slots 4 n.
#pragma once

#include <memory>

#include "collectives/transport.hpp"
#include "collectives/transports/shared_space.hpp"

namespace lockstep {

// What a message and what is staged may have at most to take the short way, among so many ranks: a
// slot, the line of the flag. Longer ones begin later, all at once.
struct ShortBytes {
  std::size_t message = 0, staged = 0;
};
ShortBytes short_bytes(int ranks);

// Messages only, where the segment does not fit or there is nobody to share it. Collective.
std::unique_ptr<Transport> make_shared_transport(std::unique_ptr<SharedSpace> space);

}  // namespace lockstep
