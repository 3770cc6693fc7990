// SPDX-License-Identifier: Apache-2.0
// What a job would launch: the recording of one step, added up by operation.
#pragma once

#include <string>

#include "perfmodels/record_step.hpp"

namespace lockstep {

std::string dry_table(const JobConfig& job, const StepRecord& record);
std::string dry_json(const JobConfig& job, const StepRecord& record);

}  // namespace lockstep
