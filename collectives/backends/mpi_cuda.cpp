// SPDX-License-Identifier: Apache-2.0
// An MPI whose headers offer the question (Open MPI's are in mpi-ext.h, which CMake includes).
#include "collectives/backends/mpi.hpp"

namespace lockstep::mpi {

bool is_cuda_aware() {
  return MPIX_Query_cuda_support() == 1;
}

}  // namespace lockstep::mpi
