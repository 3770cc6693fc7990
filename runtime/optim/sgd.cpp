// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with momentum; weight decay is part of the gradient.
//
//   keeps  1 float32 per element
//   moves  12 bytes read, 12 written per element
//
// I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML
// 2013.
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/update.hpp"
#include "runtime/optim/states.hpp"
#include "runtime/optim/table.hpp"

namespace lockstep {

namespace {

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

extern const OptimizerKind sgd_optimizer;
const OptimizerKind sgd_optimizer{"sgd", make_optimizer_of<Sgd>, 1};

}  // namespace lockstep
