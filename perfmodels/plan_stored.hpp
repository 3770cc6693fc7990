// SPDX-License-Identifier: Apache-2.0
// How many micro-batches a pipeline keeps at once, by its schedule: counted along its actions,
// whatever schedule it is.
#pragma once

#include <vector>

#include "parallelism/pipeline/schedule.hpp"

namespace lockstep {

struct StoredPasses {
  // By stage, micro-batches of each chunk together: at most so many whose forward pass is done and
  // whose weight gradient is not; of those, at most so many whose gradient has been sent on.
  std::vector<int> stored{}, waiting{};
  int of_last_part = 0;  // stored of the last part alone
};

// Of compute actions. Cost: some ns per action.
StoredPasses stored_passes(const PipelineSchedule& schedule);

}  // namespace lockstep
