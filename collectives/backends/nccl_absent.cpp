// SPDX-License-Identifier: Apache-2.0
// A build with CUDA and without NCCL's header.
#include "collectives/backends/nccl/nccl.hpp"
#include "runtime/base/error.hpp"

namespace lockstep::nccl {

std::string refusal(MPI_Comm comm) {
  int size = 1;
  check_mpi(MPI_Comm_size(comm, &size));
  return size == 1 ? "" : "this program was built without NCCL";
}

std::unique_ptr<Backend> make(MPI_Comm, Device&, const CommunicatorOptions&) {
  throw ConfigError("collectives.backend = \"nccl\": this program was built without NCCL");
}

std::unique_ptr<Transport> make_transport(MPI_Comm, Device&, const CommunicatorOptions&) {
  throw ConfigError("collectives.backend = \"native\": this program was built without NCCL");
}

}  // namespace lockstep::nccl
