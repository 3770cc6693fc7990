// SPDX-License-Identifier: Apache-2.0
// Our own algorithms, each call served by the selector's choice, over any transport.
#pragma once

#include <memory>

#include "collectives/backend.hpp"
#include "collectives/options.hpp"
#include "collectives/transport.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep::native {

std::unique_ptr<Backend> make(MPI_Comm comm, const CommunicatorOptions& options);
std::unique_ptr<Backend> make(std::unique_ptr<Transport> net, const CommunicatorOptions& options);

}  // namespace lockstep::native
