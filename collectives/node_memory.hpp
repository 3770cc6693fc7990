// SPDX-License-Identifier: Apache-2.0
// Memory that processes of one node have in common: POSIX shared memory. Nothing of it is left when
// they have ended, however they ended; only a kill within map_on_node() can leave a file in
// /dev/shm.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "runtime/context/mpi.hpp"

namespace lockstep {

struct NodeMemory {
  std::shared_ptr<std::byte> memory;  // zeros at first; null on every rank if one cannot have it
  std::string why_not;                // as far as this rank knows
};

// Collective over `node`, whose ranks are on one node, and over `whole`, which holds `node`: null
// on all of `whole` if anyone of it cannot have it.
NodeMemory map_on_node(std::size_t bytes, MPI_Comm node, MPI_Comm whole);

// Whether `mine` holds on every rank. Collective.
bool on_all(bool mine, MPI_Comm comm);

}  // namespace lockstep
