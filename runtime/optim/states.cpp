// SPDX-License-Identifier: Apache-2.0
#include "runtime/optim/states.hpp"

#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

std::vector<Tensor> zeros_like(const std::vector<UpdatePiece>& pieces) {
  std::vector<Tensor> state;
  for (const UpdatePiece& p : pieces) {
    Device& device = p.value.device();
    const MemoryScope scope(device, MemoryUse::optimizer);
    state.push_back(Tensor::empty(device, p.value.shape()));
    kernels::fill(state.back(), 0.0f, device.compute());
  }
  return state;
}

std::vector<Tensor> masters_of(const std::vector<UpdatePiece>& pieces) {
  std::vector<Tensor> masters;
  for (const UpdatePiece& p : pieces) {
    masters.push_back(p.value);
    if (p.value.dtype() == DType::float32) continue;
    Device& device = p.value.device();
    const MemoryScope scope(device, MemoryUse::optimizer);
    masters.back() = Tensor::empty(device, p.value.shape());
    kernels::copy(masters.back(), p.value, device.compute());
  }
  return masters;
}

std::vector<OptimizerState> with_masters(std::vector<OptimizerState> states,
                                         const std::vector<Tensor>& masters,
                                         const std::vector<UpdatePiece>& pieces) {
  const bool copies = !pieces.empty() && pieces.front().value.dtype() != DType::float32;
  if (copies) states.push_back({"master", &masters});
  return states;
}

}  // namespace lockstep
