// SPDX-License-Identifier: Apache-2.0
// A typed view of memory, the type known at run time: what algorithms, transports and backends pass
// around. Like std::span it does not own, and copies see the same elements.
#pragma once

#include <cstddef>

#include "collectives/blocks.hpp"
#include "runtime/base/dtype.hpp"

namespace lockstep {

struct Elements {
  std::byte* data = nullptr;
  std::size_t count = 0;
  DType dtype = DType::float32;

  std::size_t bytes() const { return count * size_of(dtype); }
  Elements subspan(std::size_t begin, std::size_t n) const {
    return {data + begin * size_of(dtype), n, dtype};
  }
  Elements first(std::size_t n) const { return subspan(0, n); }
  Elements at(const Block& block) const { return subspan(block.begin, block.count); }
};

}  // namespace lockstep
