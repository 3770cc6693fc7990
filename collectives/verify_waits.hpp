// SPDX-License-Identifier: Apache-2.0
// Why nobody goes on: who waits for whom, as a chain that ends in a circle or at a rank that has
// ended.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

namespace lockstep {

// The ranks of the circle into which waiting leads from `rank`; or the chain to one that waits for
// nobody (`awaited` gives -1), that one included.
inline std::vector<int> chain_of_waits(int rank, const std::function<int(int rank)>& awaited) {
  std::vector<int> chain;
  for (int r = rank; r >= 0; r = awaited(r)) {
    const auto again = std::find(chain.begin(), chain.end(), r);
    if (again != chain.end()) return {again, chain.end()};
    chain.push_back(r);
  }
  return chain;
}

}  // namespace lockstep
