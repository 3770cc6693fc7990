// SPDX-License-Identifier: Apache-2.0
// Who serves groups whose elements are in the memory of GPUs, for each name of collectives.backend:
//
//   auto     nccl where every rank of the job has a GPU of its own, else mpi
//   nccl     NCCL's collectives
//   native   our algorithms over NCCL's messages, with kernels that add; on shared GPUs staged
//   mpi      the library's collectives: on the GPUs' memory where it is CUDA-aware and nothing is
//            reduced, else staged through page-locked memory
//
// All of them put device work into the lane of the group, or wait for it there
// before they make a call of MPI: one program order, whoever serves. An average is divided here.
// Groups of one rank are alone.hpp. CMake chooses gpu.cpp or gpu_absent.cpp.
#pragma once

#include <memory>

#include "collectives/backend.hpp"
#include "collectives/options.hpp"
#include "runtime/context/mpi.hpp"

namespace lockstep::gpu {

// Collective, on the current GPU of every rank, the device's.
std::unique_ptr<Backend> make_auto(MPI_Comm comm, Device& device, const CommunicatorOptions& o);
std::unique_ptr<Backend> make_nccl(MPI_Comm comm, Device& device, const CommunicatorOptions& o);
std::unique_ptr<Backend> make_native(MPI_Comm comm, Device& device, const CommunicatorOptions& o);
std::unique_ptr<Backend> make_mpi(MPI_Comm comm, Device& device, const CommunicatorOptions& o);
std::unique_ptr<Backend> make_alone(Device& device);

}  // namespace lockstep::gpu
