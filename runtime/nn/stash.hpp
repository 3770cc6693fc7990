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

// The samples that pass through the layers together.   B samples of T tokens, M = B T rows
struct MicroBatch {
  // Global index of its first sample since the start of training: the key of dropout masks, so that
  // they are the same in every layout.
  std::int64_t first_sample = 0;
  std::int64_t samples = 0, tokens = 0;  // B, T
  // Of the M rows, those that this rank has between the layers (fewer by sequence parallelism).
  std::int64_t first_row = 0, rows = 0;

  std::int64_t all_rows() const { return samples * tokens; }  // M
};

class Stash {
 public:
  enum class Mode : std::uint8_t { training, inference };  // inference keeps nothing, drops nothing
  // When the weight gradients run: right behind the input gradient of the same layer, or all of
  // them at settle(), which is what zero-bubble pipeline schedules need.
  enum class WeightGradients : std::uint8_t { immediate, deferred };

  explicit Stash(const MicroBatch& batch = {}, Mode mode = Mode::training,
                 WeightGradients when = WeightGradients::immediate)
      : mode_(mode), when_(when), batch_(batch) {}

  bool training() const { return mode_ == Mode::training; }
  bool defers_weight_gradients() const { return when_ == WeightGradients::deferred; }
  const MicroBatch& batch() const { return batch_; }

  // Last in, first out per module. save() drops the tensor in inference mode, and while a Forgetful
  // lives: what backward computes again.
  void save(const Module* owner, Tensor tensor);
  Tensor take(const Module* owner);

  // A layer calls this once its input gradient no longer needs what backward_weight will take.
  void owe(Module& layer);
  void settle();

  // A layer says that one of its uses of `parameter` has been added to the gradient.
  void ready(Parameter& parameter);
  void on_ready(std::function<void(Parameter&)> listener) { listener_ = std::move(listener); }

 private:
  friend class Forgetful;

  Mode mode_;
  WeightGradients when_;
  MicroBatch batch_;
  int forgetful_ = 0;
  std::unordered_map<const Module*, std::vector<Tensor>> saved_;
  std::vector<Module*> owed_;
  std::function<void(Parameter&)> listener_;
};

// Nothing is saved while it lives.
class Forgetful {
 public:
  explicit Forgetful(Stash& stash) : stash_(stash) { ++stash_.forgetful_; }
  ~Forgetful() { --stash_.forgetful_; }
  Forgetful(const Forgetful&) = delete;
  Forgetful& operator=(const Forgetful&) = delete;

 private:
  Stash& stash_;
};

}  // namespace lockstep
