// SPDX-License-Identifier: Apache-2.0
#include "runtime/optim/optimizer.hpp"

#include <cmath>

#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/update.hpp"

namespace lockstep {

namespace {

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

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerSection& config, const std::vector<UpdatePiece>& pieces)
      : config_(config), pieces_(pieces), first_(zeros_like(pieces)), second_(zeros_like(pieces)) {}

  void step(double learning_rate, const Tensor& factor) override {
    ++steps_;
    const auto [beta1, beta2] = config_.betas;
    kernels::AdamW with{.learning_rate = static_cast<float>(learning_rate),
                        .beta1 = static_cast<float>(beta1),
                        .beta2 = static_cast<float>(beta2),
                        .epsilon = static_cast<float>(config_.epsilon),
                        .weight_decay = 0,
                        .correction1 = static_cast<float>(1 - std::pow(beta1, steps_)),
                        .correction2 = static_cast<float>(1 - std::pow(beta2, steps_))};
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      UpdatePiece& p = pieces_[i];
      with.weight_decay = p.decays ? static_cast<float>(config_.weight_decay) : 0.0f;
      kernels::adamw_update(p.value, p.grad, first_[i], second_[i], factor, with,
                            p.value.device().compute());
    }
  }

  std::vector<OptimizerState> states() const override {
    return {{"first_moment", &first_}, {"second_moment", &second_}};
  }
  std::int64_t steps() const override { return static_cast<std::int64_t>(steps_); }
  void set_steps(std::int64_t steps) override { steps_ = static_cast<double>(steps); }

 private:
  OptimizerSection config_;
  std::vector<UpdatePiece> pieces_;
  std::vector<Tensor> first_, second_;  // moments
  double steps_ = 0;
};

class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerSection& config, const std::vector<UpdatePiece>& pieces)
      : config_(config), pieces_(pieces), velocity_(zeros_like(pieces)) {}

  void step(double learning_rate, const Tensor& factor) override {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      UpdatePiece& p = pieces_[i];
      const kernels::Momentum with{
          .learning_rate = static_cast<float>(learning_rate),
          .momentum = static_cast<float>(config_.momentum),
          .weight_decay = p.decays ? static_cast<float>(config_.weight_decay) : 0.0f};
      kernels::momentum_update(p.value, p.grad, velocity_[i], factor, with,
                               p.value.device().compute());
    }
  }

  std::vector<OptimizerState> states() const override { return {{"velocity", &velocity_}}; }

 private:
  OptimizerSection config_;
  std::vector<UpdatePiece> pieces_;
  std::vector<Tensor> velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerSection& config,
                                          const std::vector<UpdatePiece>& pieces) {
  if (config.kind == "adamw") return std::make_unique<AdamW>(config, pieces);
  if (config.kind == "sgd") return std::make_unique<Sgd>(config, pieces);
  throw ConfigError("optimizer.kind = \"" + config.kind + "\" is not known; use adamw or sgd");
}

}  // namespace lockstep
