// SPDX-License-Identifier: Apache-2.0
// The messages of a schedule. What one part of the model makes and the next needs travels in one
// message, unless both are on the same stage.
//
// All ranks keep their messages, and with them all else that they communicate, in one global order,
// so a queue that carries them out one after the other cannot come to a deadlock: the first message
// of that order that has not been done is at the head of both queues. The order is that of the
// times at which messages would be made, whichever times are assumed.
//
// At one time, messages over even boundaries (between stages 2i and 2i+1) go before those over odd
// ones, so that they travel side by side and not in a chain through all stages.
#pragma once

#include "parallelism/pipeline/simulate.hpp"

namespace lockstep {

// Of a schedule of compute actions. A send stands behind the action that makes it, a receive before
// the first action that would start when the message has been made: a queue that also serves what
// passes communicate is not held up by a message that is not ready. All ranks assume the same
// times, or their orders differ. LogicError if the schedule never ends.
PipelineSchedule with_messages(const PipelineSchedule& schedule, const ScheduleTimes& assumed = {});

}  // namespace lockstep
