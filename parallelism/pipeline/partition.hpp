// SPDX-License-Identifier: Apache-2.0
// Which layers each part of a pipeline holds: stretches whose most expensive one is as cheap as can
// be. Pure arithmetic; n layers and p parts cost O(n p log n).
#pragma once

#include <vector>

namespace lockstep {

// Part i holds the layers [result[i], result[i + 1]), at least one each. Among the cuts with the
// same largest part the one that fills the first parts least: they keep most activations.
std::vector<int> partition(const std::vector<double>& costs, int parts);

}  // namespace lockstep
