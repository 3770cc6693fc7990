// SPDX-License-Identifier: Apache-2.0
#include "runtime/optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

// How far `step` is between begin and end, in [0, 1].
double progress(std::int64_t step, double begin, double end) {
  if (end <= begin) return step < end ? 0.0 : 1.0;
  return std::clamp((static_cast<double>(step) - begin) / (end - begin), 0.0, 1.0);
}

// Share of the way from the peak to the minimum that is done.
double decayed(std::int64_t step, const ScheduleOptions& o) {
  const double warm = static_cast<double>(o.warmup_steps), end = static_cast<double>(o.steps);
  switch (o.kind) {
    case DecayKind::constant:
      return 0;
    case DecayKind::linear:
      return progress(step, warm, end);
    case DecayKind::cosine:
      return 0.5 * (1 - std::cos(std::numbers::pi * progress(step, warm, end)));
    case DecayKind::wsd:
      return progress(step, std::max(warm, end * (1 - o.decay_share)), end);
  }
  return 0;
}

}  // namespace

DecayKind decay_kind(std::string_view name) {
  const auto found = std::find(std::begin(kScheduleNames), std::end(kScheduleNames), name);
  expect(found != std::end(kScheduleNames), "unknown schedule: the configuration checks its name");
  return static_cast<DecayKind>(found - std::begin(kScheduleNames));
}

double learning_rate_at(std::int64_t step, const ScheduleOptions& o) {
  if (step < o.warmup_steps) {
    return o.peak * static_cast<double>(step + 1) / static_cast<double>(o.warmup_steps);
  }
  return o.peak * (1 - (1 - o.minimum_share) * decayed(step, o));
}

}  // namespace lockstep
