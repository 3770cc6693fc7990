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
          .first = static_cast<std::uint64_t>(stash.batch().first_sample * elements_per_sample)};
}

kernels::DropoutMask Dropout::mask_of_rows(const Tensor& x, const Stash& stash) const {
  kernels::DropoutMask of_rows = mask(stash, stash.batch().tokens * x.dim(1));
  of_rows.first += static_cast<std::uint64_t>(stash.batch().first_row * x.dim(1));
  return of_rows;
}

void Dropout::apply(Tensor& x, const Stash& stash) const {
  const auto with = mask_of_rows(x, stash);
  if (with.share > 0) kernels::dropout(x, x, with, x.device().compute());
}

Tensor Dropout::add_to(const Tensor& residual, Tensor x, const Stash& stash) const {
  kernels::dropout_add(x, residual, x, mask_of_rows(x, stash), x.device().compute());
  return x;
}

Tensor Dropout::mask_kept(const Tensor& x) {
  const double of_each = kept_besides(x.device().policy()).of_dropped;
  return kept_besides(x.device(), of_each * static_cast<double>(x.count()));
}

Tensor Dropout::backward(const Tensor& dy, const Stash& stash) const {
  if (share_ == 0) return dy;
  Tensor dx = Tensor::empty(dy.device(), dy.shape(), dy.dtype());
  kernels::dropout(dx, dy, mask_of_rows(dy, stash), dy.device().compute());
  return dx;
}

}  // namespace lockstep::nn
