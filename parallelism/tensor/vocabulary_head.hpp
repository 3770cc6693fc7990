// SPDX-License-Identifier: Apache-2.0
// The output head: a column-parallel product with a table of the vocabulary, its own or that of the
// embedding.   [this rank's rows, C] -> logits [M, ceil(V/t)], those of the padding zero
// It communicates as ColumnLinear does, with I = C; vocabulary_loss.hpp takes the logits as they
// are.
#pragma once

#include "parallelism/tensor/column_linear.hpp"

namespace lockstep {

// The rows of [V,C] that this rank holds, padded to ceil(V/t) with zeros.
std::shared_ptr<Parameter> make_vocabulary_matrix(Device& device, const TensorGroup& group,
                                                  const std::string& name, std::int64_t vocabulary,
                                                  std::int64_t channels, const Init& init);

std::unique_ptr<ColumnLinear> make_head(const TensorGroup& group, std::shared_ptr<Parameter> table);
// For the table of an embedding that is on this rank too: a second use of the same values.
std::unique_ptr<ColumnLinear> make_tied_head(const TensorGroup& group,
                                             std::shared_ptr<Parameter> table);

}  // namespace lockstep
