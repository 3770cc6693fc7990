// SPDX-License-Identifier: Apache-2.0
// A profile is of ranks with so many threads; a job may take another number.
#pragma once

#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// The machine whose ranks compute with `threads` (0: with as many as the profile says). Its rates
// of computing are taken in proportion, which is a guess: too slow for few threads where memory
// bounds, too fast for many. GPUs stay as they are.
Machine with_threads(Machine machine, int threads);

}  // namespace lockstep
