// SPDX-License-Identifier: Apache-2.0
#include "collectives/transport.hpp"

#include <cstring>

#include "runtime/base/error.hpp"

namespace lockstep {

void Transport::combine(const Elements& out, const Elements& a, const Elements& b, ReduceOp op) {
  lockstep::combine(out, a, b, op);
}

void Transport::copy(const Elements& out, const Elements& in) {
  expect(out.bytes() == in.bytes(), "copy of unequal sizes");
  if (out.data != in.data && in.bytes() > 0) std::memmove(out.data, in.data, in.bytes());
}

Elements Transport::scratch(std::size_t count, DType dtype) {
  const std::size_t bytes = count * size_of(dtype);
  if (scratch_.size() < bytes) scratch_.resize(bytes);
  return {scratch_.data(), count, dtype};
}

}  // namespace lockstep
