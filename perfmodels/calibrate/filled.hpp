// SPDX-License-Identifier: Apache-2.0
// Tensors of one value, for kernels whose time does not depend on it: `filled` as values and
// activations, `wide` as gradients, statistics and optimizer states, which are float32 always.
#pragma once

#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

inline Tensor filled(Device& device, const Shape& shape, float value = 0.01f) {
  Tensor t = Tensor::empty(device, shape, device.numerics().values);
  kernels::fill(t, value, device.compute());
  return t;
}

inline Tensor wide(Device& device, const Shape& shape, float value = 0.01f) {
  Tensor t = Tensor::empty(device, shape);
  kernels::fill(t, value, device.compute());
  return t;
}

}  // namespace lockstep
