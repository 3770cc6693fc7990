// SPDX-License-Identifier: Apache-2.0
// The definitions come from launch/CMakeLists.txt and reach no other file.
#include "launch/build_facts.hpp"

#include "runtime/base/simd.hpp"

namespace lockstep {

BuildFacts build_facts() {
  return {.version = LOCKSTEP_VERSION,
          .compiler = LOCKSTEP_COMPILER,
          .build_type = LOCKSTEP_BUILD_TYPE,
          .march = LOCKSTEP_MARCH,
          .simd = kSimd,
          .gemm = LOCKSTEP_GEMM_LIBRARY};
}

}  // namespace lockstep
