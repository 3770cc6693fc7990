// SPDX-License-Identifier: Apache-2.0
// What a job would fail by when its nodes are there, a queue later: looked for before it is
// submitted.
#pragma once

#include <string>
#include <vector>

#include "runtime/config/job_config.hpp"

namespace lockstep {

// What predictions know and this version does not run: ConfigError.
void expect_trainable(const JobConfig& job);

struct FirstLook {
  double bytes_per_rank = 0;  // the most that its tensors take; 0: not known here
  std::vector<std::string> warnings{};
};

// Throws ConfigError as the ranks would, and where the memory asked for is less than their tensors
// take. Costs a step on the dry device.
FirstLook look_at(JobConfig job);

}  // namespace lockstep
