// SPDX-License-Identifier: Apache-2.0
// ZeRO: what data parallelism keeps d times is cut over the d data ranks, step by step.
//
//   zero   values    gradients   optimizer states
//   1      whole     whole       1/d
//   2      whole     1/d         1/d
//   3      1/d       1/d         1/d
//
// S. Rajbhandari et al., "ZeRO", SC 2020. What it sends: values.hpp, gradients.hpp.
#pragma once

#include "parallelism/data/data_parallel.hpp"

namespace lockstep {

// The answer of zero = 1, 2, 3. Collective. ConfigError where the layers' gradients come too late.
std::unique_ptr<DataParallel> make_zero(const std::vector<LayerParameters>& layers,
                                        const Communicator& data,
                                        const DataParallelOptions& options);

}  // namespace lockstep
