// SPDX-License-Identifier: Apache-2.0
// What optimizers have in common: what they keep beside each piece.
#pragma once

#include <vector>

#include "runtime/optim/optimizer.hpp"

namespace lockstep {

// float32 zeros, as many as each piece has elements.
std::vector<Tensor> zeros_like(const std::vector<UpdatePiece>& pieces);

// What is updated, in float32: the values themselves, or where the model has bfloat16 ones a master
// copy of them, of which they are the rounded ones (Micikevicius et al., "Mixed precision
// training", 2018).
std::vector<Tensor> masters_of(const std::vector<UpdatePiece>& pieces);

// For checkpoints: masters are state where they are not the values themselves.
std::vector<OptimizerState> with_masters(std::vector<OptimizerState> states,
                                         const std::vector<Tensor>& masters,
                                         const std::vector<UpdatePiece>& pieces);

}  // namespace lockstep
