// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/gpu.hpp"

#include <string>

#include "collectives/backends/alone.hpp"
#include "collectives/backends/mpi.hpp"
#include "collectives/backends/native.hpp"
#include "collectives/backends/nccl/nccl.hpp"
#include "collectives/backends/staged.hpp"
#include "collectives/select.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep::gpu {

namespace {

// The backend of a job of one rank, null where there are more.
std::unique_ptr<Backend> alone_in(MPI_Comm comm, Device& device, const CommunicatorOptions& o,
                                  const char* label) {
  int size = 1;
  check_mpi(MPI_Comm_size(comm, &size));
  check_names(o);
  return size == 1 ? alone::make(device, label) : nullptr;
}

void say_once(MPI_Comm comm, const std::string& text) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(comm, &rank));
  if (rank == 0) log_info(text);
}

}  // namespace

std::unique_ptr<Backend> make_auto(MPI_Comm comm, Device& device, const CommunicatorOptions& o) {
  const std::string why = nccl::refusal(comm);
  if (why.empty()) return make_nccl(comm, device, o);
  say_once(comm, "collectives: mpi, because " + why);
  return make_mpi(comm, device, o);
}

std::unique_ptr<Backend> make_nccl(MPI_Comm comm, Device& device, const CommunicatorOptions& o) {
  if (auto backend = alone_in(comm, device, o, "nccl")) return backend;
  return nccl::make(comm, device, o);
}

std::unique_ptr<Backend> make_native(MPI_Comm comm, Device& device, const CommunicatorOptions& o) {
  if (auto backend = alone_in(comm, device, o, "native")) return backend;
  const std::string why = nccl::refusal(comm);
  if (why.empty()) return native::make(nccl::make_transport(comm, device, o), o);
  say_once(comm, "collectives: our algorithms in the host's memory, because " + why);
  return staged::make(native::make(comm, o), device, staged::Below::host_only);
}

std::unique_ptr<Backend> make_mpi(MPI_Comm comm, Device& device, const CommunicatorOptions& o) {
  if (auto backend = alone_in(comm, device, o, "mpi")) return backend;
  const bool aware = mpi::is_cuda_aware();
  return staged::make(mpi::make(comm, o), device,
                      aware ? staged::Below::moves_gpu_memory : staged::Below::host_only);
}

std::unique_ptr<Backend> make_alone(Device& device) {
  return alone::make(device, "native");
}

}  // namespace lockstep::gpu
