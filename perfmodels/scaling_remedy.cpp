// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/scaling_remedy.hpp"

#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr double kWorthSaying = 0.95;  // of the step as it is

struct Change {
  std::string key, value;
  JobConfig job;
};

std::vector<Change> changes_of(const JobConfig& job) {
  std::vector<Change> changes;
  for (const double mb : {16.0, 64.0, 256.0}) {
    if (mb <= job.parallel.bucket_mb) continue;
    changes.push_back({"parallel.bucket_mb", format("%g", mb), job});
    changes.back().job.parallel.bucket_mb = mb;
  }
  for (const int zero : {0, 1, 2, 3}) {
    if (zero == job.parallel.zero) continue;
    changes.push_back({"parallel.zero", format("%d", zero), job});
    changes.back().job.parallel.zero = zero;
  }
  return changes;
}

// None where the job cannot be changed so.
std::optional<ScaledStep> tried(const JobConfig& job, const Machine& machine, int ranks) {
  try {
    validate(job);
    return scale(job, machine, Scaling::strong, {ranks}).steps.front();
  } catch (const ConfigError&) {
    return {};
  }
}

}  // namespace

std::optional<Remedy> remedy_at(const JobConfig& job, const Machine& machine,
                                const ScaledStep& at) {
  std::optional<Remedy> best;
  for (const Change& change : changes_of(job)) {
    auto step = tried(change.job, machine, at.ranks);
    if (!step || !step->fits || step->seconds > kWorthSaying * at.seconds) continue;
    if (best && step->seconds >= best->step.seconds) continue;
    step->efficiency = at.efficiency * at.seconds / step->seconds;
    best = {change.key, change.value, *step};
  }
  return best;
}

}  // namespace lockstep
