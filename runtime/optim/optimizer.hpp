// SPDX-License-Identifier: Apache-2.0
// Optimizers: AdamW and SGD with momentum. State (two or one float32 per element) is theirs.
#pragma once

#include <memory>
#include <vector>

#include "runtime/config/job_config.hpp"
#include "runtime/tensor/tensor.hpp"

namespace lockstep {

// What is updated: a parameter, or the stretch of it that this rank keeps.
struct UpdatePiece {
  Tensor value, grad;   // of equal count
  bool decays = false;  // weight decay applies
};

// What an optimizer keeps between steps: one tensor for each piece, of its count.
struct OptimizerState {
  const char* kind;
  const std::vector<Tensor>* tensors;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One update of every piece with factor[1] times its gradient, which is left zeroed.
  virtual void step(double learning_rate, const Tensor& factor) = 0;

  // For checkpoints: with the states and the number of steps of another optimizer it goes on as
  // that one would.
  virtual std::vector<OptimizerState> states() const = 0;
  virtual std::int64_t steps() const { return 0; }  // that updates depend on
  virtual void set_steps(std::int64_t /*steps*/) {}
};

// The pieces are the same for the whole run. Throws ConfigError for an unknown optimizer.kind.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerSection& config,
                                          const std::vector<UpdatePiece>& pieces);

}  // namespace lockstep
