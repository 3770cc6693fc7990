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

// What is updated, in float32: the values themselves, or where the model has bfloat16 ones a master
// copy of them, of which they are the rounded ones (Micikevicius et al., "Mixed precision
// training", 2018).
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

// For checkpoints: masters are state where they are not the values themselves.
std::vector<OptimizerState> with_masters(std::vector<OptimizerState> states,
                                         const std::vector<Tensor>& masters,
                                         const std::vector<UpdatePiece>& pieces) {
  const bool copies = !pieces.empty() && pieces.front().value.dtype() != DType::float32;
  if (copies) states.push_back({"master", &masters});
  return states;
}

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerSection& config, const std::vector<UpdatePiece>& pieces)
      : config_(config),
        pieces_(pieces),
        masters_(masters_of(pieces)),
        first_(zeros_like(pieces)),
        second_(zeros_like(pieces)) {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const UpdatePiece& p = pieces[i];
      const bool copied = !masters_[i].shares_storage_with(p.value);
      updates_.push_back(
          {.value = masters_[i],
           .gradient = p.grad,
           .m = first_[i],
           .v = second_[i],
           .copy = copied ? p.value : Tensor(),
           .weight_decay = p.decays ? static_cast<float>(config_.weight_decay) : 0.0f});
    }
  }

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
    if (!updates_.empty()) kernels::adamw_update(updates_, factor, with, factor.device().compute());
  }

  std::vector<OptimizerState> states() const override {
    return with_masters({{"first_moment", &first_}, {"second_moment", &second_}}, masters_,
                        pieces_);
  }
  std::int64_t steps() const override { return static_cast<std::int64_t>(steps_); }
  void set_steps(std::int64_t steps) override { steps_ = static_cast<double>(steps); }

 private:
  OptimizerSection config_;
  std::vector<UpdatePiece> pieces_;
  std::vector<Tensor> masters_, first_, second_;  // and moments
  std::vector<kernels::AdamWPiece> updates_;
  double steps_ = 0;
};

class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerSection& config, const std::vector<UpdatePiece>& pieces)
      : config_(config),
        pieces_(pieces),
        masters_(masters_of(pieces)),
        velocity_(zeros_like(pieces)) {}

  void step(double learning_rate, const Tensor& factor) override {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      UpdatePiece& p = pieces_[i];
      const kernels::Momentum with{
          .learning_rate = static_cast<float>(learning_rate),
          .momentum = static_cast<float>(config_.momentum),
          .weight_decay = p.decays ? static_cast<float>(config_.weight_decay) : 0.0f};
      Stream& stream = factor.device().compute();
      kernels::momentum_update(masters_[i], p.grad, velocity_[i], factor, with, stream);
      if (!masters_[i].shares_storage_with(p.value)) kernels::copy(p.value, masters_[i], stream);
    }
  }

  std::vector<OptimizerState> states() const override {
    return with_masters({{"velocity", &velocity_}}, masters_, pieces_);
  }

 private:
  OptimizerSection config_;
  std::vector<UpdatePiece> pieces_;
  std::vector<Tensor> masters_, velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerSection& config,
                                          const std::vector<UpdatePiece>& pieces) {
  if (config.kind == "adamw") return std::make_unique<AdamW>(config, pieces);
  if (config.kind == "sgd") return std::make_unique<Sgd>(config, pieces);
  throw ConfigError("optimizer.kind = \"" + config.kind + "\" is not known; use adamw or sgd");
}

}  // namespace lockstep
