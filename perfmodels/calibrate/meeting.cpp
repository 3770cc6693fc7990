// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/meeting.hpp"

#include "runtime/base/clock.hpp"

namespace lockstep {

namespace {

constexpr int kMeetings = 16, kTrials = 7;  // at a time, and their median

double seconds_of_meeting(Backend& group, const Choice& barrier) {
  std::vector<double> trials;
  for (int i = 0; i < kTrials; ++i) {
    const double begin = now();
    for (int k = 0; k < kMeetings; ++k)
      group.run(barrier_call(), barrier, {});
    trials.push_back((now() - begin) / kMeetings);
  }
  return median_of(trials);
}

}  // namespace

void watch_meetings(Sampler& sampler, const Context& context, Backend& group) {
  const bool tells = context.nodes() == 1 && context.size() > 1 && !group.shape().crowded;
  if (!tells) return;
  sampler.watch([&group, barrier = group.choose(barrier_call())] {
    return seconds_of_meeting(group, barrier);
  });
}

}  // namespace lockstep
