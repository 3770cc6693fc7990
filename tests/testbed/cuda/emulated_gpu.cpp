// SPDX-License-Identifier: Apache-2.0
// Everything is done when the call that launches it returns: kernels run in it, and so do the fake
// libraries. All ranks share the one GPU.
#include "tests/testbed/cuda/fake_runtime.hpp"

namespace lockstep::fake {

const bool kLaunchesReturnAtOnce = false;

int number_of_gpu() {
  return 0;
}

}  // namespace lockstep::fake
