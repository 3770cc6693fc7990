// SPDX-License-Identifier: Apache-2.0
// In which state a machine was when it was measured.
//
// A host moves its virtual cores now and then: two that share a cache meet and pass messages three
// times as fast as two that do not, for some seconds or a minute. Medians over such a change are of
// no machine. So a probe looks before and behind every visit of an item, and what it finds tells
// the states apart: no measurement that is used decides which visits count.
#pragma once

#include <vector>

#include "perfmodels/machine/figure.hpp"

namespace lockstep {

// What the probe said of the machine before a visit and behind it; zeros: nobody looked.
struct Watched {
  double before = 0, after = 0;
};

// Visits of which the probe said no less than `least` and no more than `most`.
struct MachineState {
  double least = 0, most = 0;
  double share = 0;  // of all visits
  bool holds(const Watched& visit) const;
};

// The most common first, of those whose bounds are no further apart than one state's values ever
// are; visits during which it changed are in none. Of no visits none.
std::vector<MachineState> states_of(std::vector<Watched> visits);

// What was measured at a place of a curve in the usual state, and in a rarer one.
struct InBoth {
  double x, usual, rarer;
};
// What was seen in the rarer state only, as it would be in the usual one: by what these places,
// ascending, took there and here, interpolated. Not of none.
Figure as_usual(const Figure& rarer, double x, const std::vector<InBoth>& both);

}  // namespace lockstep
