// SPDX-License-Identifier: Apache-2.0
// Processes of one node that share memory: POSIX shared memory for what all see, process_vm_readv
// for a look into each other's. Both need no rights beyond those of one user; where the system
// forbids the second (containers without ptrace, some security modules), can_read() is false.
#pragma once

#include <memory>

#include "collectives/transports/shared_space.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

// `comm` has ranks of one node only. Collective.
std::unique_ptr<SharedSpace> make_process_space(CommHandle comm);

}  // namespace lockstep
