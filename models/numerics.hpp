// SPDX-License-Identifier: Apache-2.0
// How a job computes on a GPU: job.precision, job.matmul, job.attention, and what job.determinism
// leaves of the last. The device of a job is told so, and the dry device that stands for it.
#pragma once

#include "runtime/config/job_config.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

Numerics numerics_of(const JobConfig& job);

}  // namespace lockstep
