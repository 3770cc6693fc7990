// SPDX-License-Identifier: Apache-2.0
// Where a curve jumps: a change of protocol, of which a straight line between logarithms knows no
// place.
#pragma once

#include <vector>

#include "perfmodels/machine/figure.hpp"

namespace lockstep {

// By which factor more a curve grows between points i and i + 1 than it does beside them, where it
// grows less, and at most in proportion: a step is as steep on a flat curve of latencies as on one
// of bytes. 1 where it goes on as beside it. Where it falls, by which factor: more never takes less
// time but by a change.
double steepness(const std::vector<Point>& curve, std::size_t i);

}  // namespace lockstep
