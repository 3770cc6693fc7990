// SPDX-License-Identifier: Apache-2.0
// The ranks are threads of one process: for tests, under sanitizers, without MPI. A send is a copy
// into the receiver's mailbox and never blocks.
#pragma once

#include <memory>
#include <vector>

#include "collectives/transport.hpp"

namespace lockstep {

// One transport per rank, each to be used by one thread.
std::vector<std::unique_ptr<Transport>> make_thread_transports(int ranks);

}  // namespace lockstep
