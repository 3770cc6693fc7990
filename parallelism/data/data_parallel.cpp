// SPDX-License-Identifier: Apache-2.0
#include "parallelism/data/data_parallel.hpp"

#include "parallelism/zero/zero.hpp"

namespace lockstep {

std::unique_ptr<DataParallel> make_data_parallel(const std::vector<LayerParameters>& layers,
                                                 const Communicator& data,
                                                 const DataParallelOptions& options) {
  for (const LayerParameters& layer : layers) {
    if (options.zero == 0) begin_values(layer.parameters);
  }
  if (options.order == GradientOrder::tree) return make_tree_gradients(layers, data, options);
  constexpr decltype(&make_zero) kAnswers[] = {make_gradient_buckets, make_zero, make_zero,
                                               make_zero};  // by parallel.zero
  return kAnswers[options.zero](layers, data, options);
}

}  // namespace lockstep
