// SPDX-License-Identifier: Apache-2.0
// Optimizers: AdamW and SGD with momentum. State (two or one float32 per element) is theirs.
#pragma once

#include <memory>
#include <vector>

#include "runtime/config/job_config.hpp"
#include "runtime/nn/parameter.hpp"

namespace lockstep {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One update of every parameter with factor[1] times its gradient, which is left zeroed. Weight
  // decay applies to parameters that decay.
  virtual void step(double learning_rate, const Tensor& factor) = 0;
};

// Throws ConfigError for an unknown optimizer.kind.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerSection& config,
                                          const std::vector<Parameter*>& parameters);

}  // namespace lockstep
