// SPDX-License-Identifier: Apache-2.0
// Ranks that compute the same do not end together, and a collective begins when the last of them is
// there: the average rank waits for it.
//
// Calibration measures how long, over the seconds computed since the ranks last met (the profile's
// [skew]); among another number of ranks it grows as the greatest of so many normal values does.
// What is measured is the mean over ranks, so all waiting adds to the time of the step.
#pragma once

#include <vector>

#include "perfmodels/machine/machine.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

// The expected greatest of n standard normal values: 0, 0.56, 0.85, 1.03 ... as sqrt(2 ln n).
double expected_greatest(int n);

// How long the average of `ranks` waits for the last one when each has computed for `seconds`.
// Nothing where the profile does not say.
Figure waiting_seconds(const Machine& machine, int ranks, double seconds);

// For each record how much later than this rank the last one of its group is there. `seconds` of
// the records alone. The steps of a job follow each other: what a step computes after the ranks
// have met counts for the first meeting of the next one. Cost: linear in the records.
std::vector<double> lateness_of(const std::vector<Record>& records,
                                const std::vector<double>& seconds, const Machine& machine,
                                double (*value)(const Figure&));

}  // namespace lockstep
