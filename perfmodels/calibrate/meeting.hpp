// SPDX-License-Identifier: Apache-2.0
// The probe of a machine's state (states.hpp): how long the ranks take to meet, which says what
// caches their cores share. Some 20 us before each visit and behind it.
#pragma once

#include "collectives/backend.hpp"
#include "perfmodels/calibrate/sampler.hpp"

namespace lockstep {

// Where a meeting tells something: ranks of one node, each on a core of its own. `group` must live
// as long as the sampler runs. Collective.
void watch_meetings(Sampler& sampler, const Context& context, Backend& group);

}  // namespace lockstep
