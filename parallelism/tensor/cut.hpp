// SPDX-License-Identifier: Apache-2.0
// Which part of a parameter a rank of the tensor group holds. Pure arithmetic.
#pragma once

#include <vector>

#include "parallelism/tensor/tensor_group.hpp"

namespace lockstep {

// A dim of several stretches, one behind the other (queries, keys, values), each cut evenly: a rank
// keeps its block of each.
Part cut_evenly(const Shape& full, int dim, const std::vector<std::int64_t>& stretches,
                const TensorGroup& group);

// Rows of a vocabulary of V that each of t ranks has room for: ceil(V/t). The last ones of all may
// be padding.
std::int64_t padded_rows(std::int64_t vocabulary, const TensorGroup& group);
// Of V, those of this rank; fewer than padded_rows, or none, in the last ranks.
Range vocabulary_rows(std::int64_t vocabulary, const TensorGroup& group);
Part cut_vocabulary(const Shape& full, const TensorGroup& group);

}  // namespace lockstep
