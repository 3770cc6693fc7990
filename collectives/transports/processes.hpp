// SPDX-License-Identifier: Apache-2.0
// Processes of one node that share memory: POSIX shared memory for what all see, process_vm_readv
// for a look into each other's. Both need no rights beyond those of one user; where the system
// forbids the second (containers without ptrace, some security modules), can_read() is false.
#pragma once

#include <memory>

#include "collectives/transports/shared_space.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

// `node` has ranks of one node only. Collective over `whole`, if given, which spans nodes and
// outlives the space; map() is then, too: what works on one node and not on another counts as not
// working, so that all ranks go on alike.
std::unique_ptr<SharedSpace> make_process_space(CommHandle node, MPI_Comm whole = MPI_COMM_NULL);

}  // namespace lockstep
