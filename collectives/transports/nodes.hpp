// SPDX-License-Identifier: Apache-2.0
// On which node each rank of a communicator lies.
#pragma once

#include <vector>

#include "runtime/context/mpi.hpp"

namespace lockstep {

// Nodes are numbered from 0 in the order of their lowest rank. Collective.
std::vector<int> nodes_of(MPI_Comm comm);

}  // namespace lockstep
