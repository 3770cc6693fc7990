// SPDX-License-Identifier: Apache-2.0
// Messages by MPI point-to-point on a communicator of its own. Works on every machine, between
// nodes and inside one.
#pragma once

#include <memory>

#include "collectives/transport.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

// Duplicates `comm`; collective.
std::unique_ptr<Transport> make_mpi_transport(MPI_Comm comm, double timeout_seconds);

}  // namespace lockstep
