// SPDX-License-Identifier: Apache-2.0
// Dropout with masks from Philox. Element i of the micro-batch is element first + i of the whole
// training run, so its mask does not depend on the layout and backward draws it again.
#pragma once

#include <cstdint>

#include "runtime/tensor/tensor.hpp"

namespace lockstep::kernels {

struct DropoutMask {
  float share = 0;          // of the elements is dropped, the others grow by 1 / (1 - share)
  std::uint64_t key = 0;    // of the layer
  std::uint64_t first = 0;  // global index of element 0
};

// x[i] *= 0 or 1 / (1 - share). Forward and backward are the same map.
void apply_dropout(float* x, std::int64_t count, const DropoutMask& mask);

void dropout(Tensor& y, const Tensor& x, const DropoutMask& mask, Stream& stream);  // y may be x

// y = residual + dropout(x): the end of a residual branch in one pass.
void dropout_add(Tensor& y, const Tensor& residual, const Tensor& x, const DropoutMask& mask,
                 Stream& stream);

// dropout.cu
namespace cuda {
void dropout(Tensor& y, const Tensor& x, const DropoutMask& mask, Stream& stream);
void dropout_add(Tensor& y, const Tensor& residual, const Tensor& x, const DropoutMask& mask,
                 Stream& stream);
}  // namespace cuda

}  // namespace lockstep::kernels
