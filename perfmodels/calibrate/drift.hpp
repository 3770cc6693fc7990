// SPDX-License-Identifier: Apache-2.0
// What all measurements of a class do together from round to round: the machine's drift, which no
// number of samples within a minute averages out.
#pragma once

#include <vector>

#include "perfmodels/calibrate/sampler.hpp"

namespace lockstep {

// Of each round the median, over the items, of its visits' medians over what the item took in all
// its visits; half the range of these over the rounds. 0 of fewer than two rounds. Every item
// counts alike.
double drift_of(const Sampler& sampler, const std::vector<std::size_t>& items);

}  // namespace lockstep
