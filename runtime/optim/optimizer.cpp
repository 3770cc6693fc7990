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

// Of bfloat16 values a float32 copy that the updates add to: their steps are too small for 8 bits
// of mantissa. Of float32 values the value itself.
std::vector<Tensor> masters_of(const std::vector<UpdatePiece>& pieces) {
  std::vector<Tensor> masters;
  for (const UpdatePiece& p : pieces) {
    Device& device = p.value.device();
    const MemoryScope scope(device, MemoryUse::optimizer);
    masters.push_back(p.value);
    if (p.value.dtype() == DType::float32) continue;
    masters.back() = Tensor::empty(device, p.value.shape());
    kernels::copy(masters.back(), p.value, device.compute());
  }
  return masters;
}

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerSection& config, const std::vector<UpdatePiece>& pieces)
      : config_(config),
        pieces_(pieces),
        first_(zeros_like(pieces)),
        second_(zeros_like(pieces)),
        masters_(masters_of(pieces)) {}

  void step(double learning_rate, const Tensor& factor) override {
    ++steps_;
    const auto [beta1, beta2] = config_.betas;
    const kernels::AdamW with{.learning_rate = static_cast<float>(learning_rate),
                              .beta1 = static_cast<float>(beta1),
                              .beta2 = static_cast<float>(beta2),
                              .epsilon = static_cast<float>(config_.epsilon),
                              .weight_decay = 0,
                              .correction1 = static_cast<float>(1 - std::pow(beta1, steps_)),
                              .correction2 = static_cast<float>(1 - std::pow(beta2, steps_))};
    std::vector<kernels::AdamWPiece> all;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      const UpdatePiece& p = pieces_[i];
      const Tensor copy = p.value.dtype() == DType::float32 ? Tensor() : p.value;
      all.push_back({masters_[i], p.grad, first_[i], second_[i], copy,
                     p.decays ? static_cast<float>(config_.weight_decay) : 0.0f});
    }
    if (!all.empty()) kernels::adamw_update(all, factor, with, factor.device().compute());
  }

 private:
  OptimizerSection config_;
  std::vector<UpdatePiece> pieces_;
  std::vector<Tensor> first_, second_;  // moments
  double steps_ = 0;
  std::vector<Tensor> masters_;
};

class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerSection& config, const std::vector<UpdatePiece>& pieces)
      : config_(config),
        pieces_(pieces),
        velocity_(zeros_like(pieces)),
        masters_(masters_of(pieces)) {}

  void step(double learning_rate, const Tensor& factor) override {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      UpdatePiece& p = pieces_[i];
      const kernels::Momentum with{
          .learning_rate = static_cast<float>(learning_rate),
          .momentum = static_cast<float>(config_.momentum),
          .weight_decay = p.decays ? static_cast<float>(config_.weight_decay) : 0.0f};
      Stream& stream = p.value.device().compute();
      kernels::momentum_update(masters_[i], p.grad, velocity_[i], factor, with, stream);
      if (p.value.dtype() != DType::float32) kernels::copy(p.value, masters_[i], stream);
    }
  }

 private:
  OptimizerSection config_;
  std::vector<UpdatePiece> pieces_;
  std::vector<Tensor> velocity_;
  std::vector<Tensor> masters_;
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerSection& config,
                                          const std::vector<UpdatePiece>& pieces) {
  if (config.kind == "adamw") return std::make_unique<AdamW>(config, pieces);
  if (config.kind == "sgd") return std::make_unique<Sgd>(config, pieces);
  throw ConfigError("optimizer.kind = \"" + config.kind + "\" is not known; use adamw or sgd");
}

}  // namespace lockstep
