// SPDX-License-Identifier: Apache-2.0
#include "runtime/nn/dropout.hpp"

#include "runtime/base/philox.hpp"
#include "runtime/nn/parameter.hpp"

namespace lockstep::nn {

Dropout::Dropout(const std::string& name, std::uint64_t seed, float share)
    : key_(random_key(seed, RandomPurpose::dropout, name_hash(name))), share_(share) {}

kernels::DropoutMask Dropout::mask(const Stash& stash, std::int64_t elements_per_sample) const {
  return {.share = stash.training() ? share_ : 0.0f,
          .key = key_,
          .first = static_cast<std::uint64_t>(stash.first_sample() * elements_per_sample)};
}

void Dropout::apply(Tensor& x, const Stash& stash) const {
  const auto with = mask(stash, x.count() / x.dim(0));
  if (with.share > 0) kernels::dropout(x, x, with, x.device().compute());
}

Tensor Dropout::add_to(const Tensor& residual, Tensor x, const Stash& stash) const {
  kernels::dropout_add(x, residual, x, mask(stash, x.count() / x.dim(0)), x.device().compute());
  return x;
}

Tensor Dropout::backward(const Tensor& dy, const Stash& stash) const {
  if (share_ == 0) return dy;
  Tensor dx = Tensor::empty(dy.device(), dy.shape());
  kernels::dropout(dx, dy, mask(stash, dy.count() / dy.dim(0)), dy.device().compute());
  return dx;
}

}  // namespace lockstep::nn
