// SPDX-License-Identifier: Apache-2.0
// When each record of a recorded step runs, if one knows what each takes alone and how much later
// than this rank the others are there: the streams of one rank, replayed (stage_replay.hpp).
//
// Cost: linear in the records.
#pragma once

#include <vector>

#include "perfmodels/stage_replay.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

// Whether all communication is one queue, or each lane.
enum class Queues : std::uint8_t { one, each_lane };
Queues queues_of(const Machine& machine);

// `seconds` of each record alone; `late`: how much later than this rank the last one is there
// (skew.hpp), empty: nobody is. A record spans the waiting. Phases span the kernels that belong to
// them, or, without such, the communication.
std::vector<Span> replay(const std::vector<Record>& records, const std::vector<double>& seconds,
                         const Slowdowns& slowdowns, const std::vector<double>& late = {},
                         Queues queues = Queues::one);

// When the last of them ends.
double end_of(const std::vector<Span>& spans);

// Spans of the phases among records whose other spans are known.
void set_phases(std::vector<Span>& spans, const std::vector<Record>& records);

}  // namespace lockstep
