// SPDX-License-Identifier: Apache-2.0
// AdamW: both moments of the gradient, and weight decay apart from them.
//
//   keeps  2 float32 per element
//   moves  16 bytes read, 16 written per element
//
// I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
#include <cmath>

#include "runtime/kernels/update.hpp"
#include "runtime/optim/states.hpp"
#include "runtime/optim/table.hpp"

namespace lockstep {

namespace {

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

}  // namespace

extern const OptimizerKind adamw_optimizer;
const OptimizerKind adamw_optimizer{"adamw", make_optimizer_of<AdamW>, 2};

}  // namespace lockstep
