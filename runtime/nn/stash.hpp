// SPDX-License-Identifier: Apache-2.0
// What one micro-batch keeps between forward and backward. Explicit, so memory can be counted and
// recomputation is a policy; one stash per micro-batch in flight, so pipelines need nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "runtime/nn/parameter.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

class Module;

class Stash {
 public:
  enum class Mode : std::uint8_t { training, inference };  // inference keeps nothing, drops nothing
  // When the weight gradients run: right behind the input gradient of the same layer, or all of
  // them at settle(), which is what zero-bubble pipeline schedules need.
  enum class WeightGradients : std::uint8_t { immediate, deferred };

  explicit Stash(Mode mode = Mode::training, std::int64_t first_sample = 0,
                 WeightGradients when = WeightGradients::immediate)
      : mode_(mode), when_(when), first_sample_(first_sample) {}

  bool training() const { return mode_ == Mode::training; }
  // Global index of the first sample of the micro-batch since the start of training: the key of
  // dropout masks, so that they are the same in every layout.
  std::int64_t first_sample() const { return first_sample_; }

  // Last in, first out per module. save() drops the tensor in inference mode.
  void save(const Module* owner, Tensor tensor);
  Tensor take(const Module* owner);

  // A layer calls this once its input gradient no longer needs what backward_weight will take.
  void owe(Module& layer);
  void settle();

  // A layer says that one of its uses of `parameter` has been added to the gradient.
  void ready(Parameter& parameter);
  void on_ready(std::function<void(Parameter&)> listener) { listener_ = std::move(listener); }

 private:
  Mode mode_;
  WeightGradients when_;
  std::int64_t first_sample_;
  std::unordered_map<const Module*, std::vector<Tensor>> saved_;
  std::vector<Module*> owed_;
  std::function<void(Parameter&)> listener_;
};

}  // namespace lockstep
