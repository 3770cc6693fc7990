// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/stash.hpp"

#include <utility>

#include "runtime/nn/module.hpp"

namespace lockstep {

void Stash::save(const Module* owner, Tensor tensor) {
  if (training() && forgetful_ == 0) saved_[owner].push_back(std::move(tensor));
}

Tensor Stash::take(const Module* owner) {
  auto& slot = saved_[owner];
  expect(!slot.empty(), "backward without its forward");
  Tensor tensor = std::move(slot.back());
  slot.pop_back();
  return tensor;
}

void Stash::owe(Module& layer) {
  if (when_ == WeightGradients::immediate) {
    layer.backward_weight(*this);
  } else {
    owed_.push_back(&layer);
  }
}

void Stash::settle() {
  for (Module* layer : owed_)
    layer->backward_weight(*this);
  owed_.clear();
}

void Stash::ready(Parameter& parameter) {
  if (listener_) listener_(parameter);
}

}  // namespace lockstep
