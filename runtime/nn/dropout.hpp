// SPDX-License-Identifier: Apache-2.0
// Dropout: where its masks come from, and the end of a residual branch.
#pragma once

#include "runtime/kernels/dropout.hpp"
#include "runtime/nn/stash.hpp"

namespace lockstep::nn {

// One place in a model that drops, keyed by (seed, name) and the global sample.
class Dropout {
 public:
  Dropout(const std::string& name, std::uint64_t seed, float share);

  bool drops(const Stash& stash) const { return stash.training() && share_ > 0; }
  // The mask of a micro-batch with so many elements a sample. Drops nothing in inference.
  kernels::DropoutMask mask(const Stash& stash, std::int64_t elements_per_sample) const;
  // Of the rows x[m,C] that this rank has between the layers.
  void apply(Tensor& x, const Stash& stash) const;  // in place
  // residual + dropout(x); the result takes x's memory.
  Tensor add_to(const Tensor& residual, Tensor x, const Stash& stash) const;
  // What other software keeps for rows x of it; our masks are drawn again.
  static Tensor mask_kept(const Tensor& x);
  // Gradient of the dropped branch: dy itself where nothing is dropped.
  Tensor backward(const Tensor& dy, const Stash& stash) const;

 private:
  kernels::DropoutMask mask_of_rows(const Tensor& x, const Stash& stash) const;

  std::uint64_t key_;
  float share_;
};

}  // namespace lockstep::nn
