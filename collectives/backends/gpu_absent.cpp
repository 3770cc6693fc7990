// SPDX-License-Identifier: Apache-2.0
// A build without CUDA: no device is a GPU.
#include "collectives/backends/gpu.hpp"
#include "runtime/base/error.hpp"

namespace lockstep::gpu {

namespace {
std::unique_ptr<Backend> none() {
  throw LogicError("a GPU in a build without CUDA");
}
}  // namespace

std::unique_ptr<Backend> make_auto(MPI_Comm, Device&, const CommunicatorOptions&) {
  return none();
}
std::unique_ptr<Backend> make_nccl(MPI_Comm, Device&, const CommunicatorOptions&) {
  return none();
}
std::unique_ptr<Backend> make_native(MPI_Comm, Device&, const CommunicatorOptions&) {
  return none();
}
std::unique_ptr<Backend> make_mpi(MPI_Comm, Device&, const CommunicatorOptions&) {
  return none();
}
std::unique_ptr<Backend> make_alone(Device&) {
  return none();
}

}  // namespace lockstep::gpu
