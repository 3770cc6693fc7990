// SPDX-License-Identifier: Apache-2.0
// How this executable was built.
#pragma once

#include <string>

namespace lockstep {

struct BuildFacts {
  std::string version;
  std::string compiler;
  std::string build_type;
  std::string march;  // empty: the compiler's default
  std::string simd;   // widest vectors that -march allows
  std::string gemm;   // library of matrix products
};

BuildFacts build_facts();

}  // namespace lockstep
