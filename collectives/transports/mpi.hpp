// SPDX-License-Identifier: Apache-2.0
// Ranks as MPI processes, messages as MPI point-to-point, any number of them under way.
#pragma once

#include <memory>

#include "collectives/transport.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep {

// Both collective. Messages only, between any ranks; the ranks of one node share memory inside().
std::unique_ptr<Transport> make_mpi_transport(CommHandle comm);
// The best there is for these ranks: shared memory where they are on one node and it fits.
std::unique_ptr<Transport> make_transport(CommHandle comm);

}  // namespace lockstep
