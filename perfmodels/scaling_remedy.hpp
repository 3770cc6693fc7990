// SPDX-License-Identifier: Apache-2.0
// What would let a job use more ranks: one key of [parallel] that changes how ranks communicate,
// and neither the model nor its batch. Each is predicted as `lockstep scaling` predicts the job.
#pragma once

#include <optional>
#include <string>

#include "perfmodels/scaling.hpp"

namespace lockstep {

struct Remedy {
  std::string key, value;  // "parallel.bucket_mb", "256"
  ScaledStep step;         // with it; efficiency against the job's smallest count, without it
};

// The one that helps most at that count of the strong curve, if one makes its step 5 % faster and
// fits into memory. Costs at most seven predictions.
std::optional<Remedy> remedy_at(const JobConfig& job, const Machine& machine, const ScaledStep& at);

}  // namespace lockstep
