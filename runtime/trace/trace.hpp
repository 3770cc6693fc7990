// SPDX-License-Identifier: Apache-2.0
// trace.json of a run, for chrome://tracing and ui.perfetto.dev: one process per rank, one track
// per stream, the phases of a step around the kernels they launched.
//
// Times of different ranks are compared through one instant that they share: the end of a barrier.
// Its ranks leave it a few microseconds apart on a node and tens of them between nodes; after that
// the clocks of nodes drift apart by about a microsecond per second.
#pragma once

#include <string>
#include <vector>

#include "runtime/context/context.hpp"
#include "runtime/device/recording.hpp"

namespace lockstep {

// The instant that is zero on every rank's time axis, by this rank's clock. Collective.
double trace_origin(const Context& context);

// The events of one rank as JSON objects, comma-separated. Records that never ran (dry) have no
// time and are left out.
std::string trace_events(const Recording& recording, int rank, double origin);

// The whole trace from the events of all ranks.
std::string chrome_trace(const std::vector<std::string>& events_by_rank);

// Gathers and writes the file on rank 0, whole or not at all. Collective; a failure ends all ranks.
void write_chrome_trace(const std::string& path, const Context& context, const Recording& recording,
                        double origin);

}  // namespace lockstep
