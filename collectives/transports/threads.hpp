// SPDX-License-Identifier: Apache-2.0
// The ranks are threads of one process: for tests, under sanitizers, without MPI. The transport is
// the shared one, over memory that threads share anyway.
#pragma once

#include <memory>
#include <vector>

#include "collectives/transport.hpp"

namespace lockstep {

// One transport per rank, each to be used by one thread. `reads_private` false: as where the system
// lets no process read another's memory.
enum class ThreadReach : std::uint8_t { everything, shared_only };
std::vector<std::unique_ptr<Transport>> make_thread_transports(
    int ranks, ThreadReach reach = ThreadReach::everything);

}  // namespace lockstep
