// SPDX-License-Identifier: Apache-2.0
// Everything is done when the call that launches it returns: kernels run in it, and so do the fake
// libraries. All ranks share one GPU, unless LOCKSTEP_EMULATED_GPUS is "each".
#include <cstdlib>
#include <string_view>

#include "tests/testbed/cuda/fake_runtime.hpp"

namespace lockstep::fake {

const bool kLaunchesReturnAtOnce = false;

int number_of_gpu() {
  const char* const gpus = std::getenv("LOCKSTEP_EMULATED_GPUS");
  const char* const rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return gpus && rank && gpus == std::string_view("each") ? std::atoi(rank) : 0;
}

}  // namespace lockstep::fake
