// SPDX-License-Identifier: Apache-2.0
// Tensors of one value, for kernels whose time does not depend on it.
#pragma once

#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

inline Tensor filled(Device& device, const Shape& shape, float value = 0.01f) {
  Tensor t = Tensor::empty(device, shape);
  kernels::fill(t, value, device.compute());
  return t;
}

}  // namespace lockstep
