// SPDX-License-Identifier: Apache-2.0
// What all measurements of a class do together from round to round: the machine's drift, which no
// number of samples within a minute averages out.
#pragma once

#include <vector>

#include "perfmodels/calibrate/sampler.hpp"

namespace lockstep {

// Of several items what each took in its rounds. What a round changed is the median over the items,
// as logarithms about each item's own mean: about its median a third of the items would not have
// changed in any of three rounds, and with them the median. Half the width, as a share, of the 90 %
// interval of one more round beside the mean of these (Student's t); 0 of fewer than two rounds.
double drift_between(const std::vector<std::vector<double>>& items);

// The same, of the medians of visits. Every item counts alike.
double drift_of(const Sampler& sampler, const std::vector<std::size_t>& items);

}  // namespace lockstep
