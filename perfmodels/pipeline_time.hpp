// SPDX-License-Identifier: Apache-2.0
// The step of a pipeline: the recordings of its roles, composed to stages (stage_compose.hpp) and
// replayed together.
#pragma once

#include "perfmodels/step_time.hpp"

namespace lockstep {

// Of a record with several stages.
StepPrediction predict_pipeline(const StepRecord& record, const Machine& machine);

}  // namespace lockstep
