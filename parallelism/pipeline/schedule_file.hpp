// SPDX-License-Identifier: Apache-2.0
// A schedule that the user wrote: one line per stage, from the first to the last, with its passes
// in order. F forward, B backward of the input, W gradient of the weights, each with its
// micro-batch and, of several chunks, .CHUNK. Messages are inserted by with_messages. # begins a
// comment.
//
//   # 1F1B, 2 stages, 3 micro-batches
//   F0 F1 B0 W0 F2 B1 W1 B2 W2
//   F0 B0 W0 F1 B1 W1 F2 B2 W2
#pragma once

#include <string>
#include <string_view>

#include "parallelism/pipeline/schedule.hpp"

namespace lockstep {

// ConfigError with file, line and remedy unless it is a schedule of that shape that check accepts.
PipelineSchedule read_schedule(const std::string& path, const PipelineShape& shape);

// The same from the text of a file; `path` is for errors.
PipelineSchedule parse_schedule(std::string_view text, const std::string& path,
                                const PipelineShape& shape);

// The text of such a file; messages are left out.
std::string schedule_text(const PipelineSchedule& schedule);

}  // namespace lockstep
