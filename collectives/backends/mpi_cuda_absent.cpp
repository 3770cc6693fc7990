// SPDX-License-Identifier: Apache-2.0
#include "collectives/backends/mpi.hpp"

namespace lockstep::mpi {

bool is_cuda_aware() {
  return false;
}

}  // namespace lockstep::mpi
