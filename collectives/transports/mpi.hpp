// SPDX-License-Identifier: Apache-2.0
// Ranks as MPI processes, messages as MPI point-to-point, any number of them under way.
#pragma once

#include <memory>

#include "collectives/transport.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

// Over a duplicate of `comm`. Collective.
std::unique_ptr<Transport> make_mpi_transport(MPI_Comm comm);

}  // namespace lockstep
