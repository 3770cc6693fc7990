// SPDX-License-Identifier: Apache-2.0
// What holds for every prediction with a machine, for people.
#pragma once

#include <string>

#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// Rates that were guessed, and of a profile that nobody calibrated how published runs compare: a
// line each, without an end of line behind the last. Empty: nothing to say.
std::string notes_on(const Machine& machine);

}  // namespace lockstep
