// SPDX-License-Identifier: Apache-2.0
#include "parallelism/tensor/vocabulary_head.hpp"

#include "runtime/kernels/elementwise.hpp"

namespace lockstep {

std::shared_ptr<Parameter> make_vocabulary_matrix(Device& device, const TensorGroup& group,
                                                  const std::string& name, std::int64_t vocabulary,
                                                  std::int64_t channels, const Init& init) {
  return make_matrix(device, name, {padded_rows(vocabulary, group), channels}, init,
                     cut_vocabulary({vocabulary, channels}, group));
}

std::unique_ptr<ColumnLinear> make_head(const TensorGroup& group,
                                        std::shared_ptr<Parameter> table) {
  return std::make_unique<ColumnLinear>(group, std::move(table), &Parameter::grad);
}

std::unique_ptr<ColumnLinear> make_tied_head(const TensorGroup& group,
                                             std::shared_ptr<Parameter> table) {
  Device& device = table->value.device();
  const MemoryScope scope(device, MemoryUse::gradients);
  table->uses = 2;
  table->second_grad = Tensor::empty(device, table->value.shape());
  kernels::fill(table->second_grad, 0.0f, device.compute());
  return std::make_unique<ColumnLinear>(group, std::move(table), &Parameter::second_grad);
}

}  // namespace lockstep
