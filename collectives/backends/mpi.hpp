// SPDX-License-Identifier: Apache-2.0
// The collectives of the MPI library, non-blocking and polled, so that waiting never holds the
// core.
#pragma once

#include <memory>

#include "collectives/backend.hpp"
#include "collectives/options.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep::mpi {

std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options);

// Whether this MPI, as it runs, moves the memory of GPUs. CMake chooses mpi_cuda.cpp or
// mpi_cuda_absent.cpp.
bool is_cuda_aware();

}  // namespace lockstep::mpi
