// SPDX-License-Identifier: Apache-2.0
// NCCL's collectives, and our algorithms over its messages, for groups whose ranks have a GPU each.
//
// CMake chooses this folder or nccl_absent.cpp, of a build without CUDA or without NCCL's header.
#pragma once

#include <memory>
#include <string>

#include "collectives/backend.hpp"
#include "collectives/options.hpp"
#include "collectives/transport.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep::nccl {

// Empty where NCCL can serve these ranks on their present GPUs, else why not: two of them share
// one, or the library cannot be opened. The same answer on every rank. Collective.
std::string refusal(MPI_Comm comm);

// Both are collective, and on the present GPU of every rank, the device's. ConfigError where NCCL
// cannot serve; a group of one rank needs no NCCL.
std::unique_ptr<Backend> make(MPI_Comm comm, Device& device, const CommunicatorOptions& options);
std::unique_ptr<Transport> make_transport(MPI_Comm comm, Device& device,
                                          const CommunicatorOptions& options);

}  // namespace lockstep::nccl
