// SPDX-License-Identifier: Apache-2.0
// A group of any size of which only one rank exists: what communicators of the dry device stand
// on. It moves nothing; its labels are those of the backend that the options name, so that
// predicted and measured operations carry the same names, as far as the ranks lie as it assumes: on
// nodes that share memory, a core for each.
#pragma once

#include <memory>

#include "collectives/backend.hpp"
#include "collectives/options.hpp"

namespace lockstep::dry {

// `ranks_per_node` neighbours lie on a node; 0: as many as the table of a machine says
// (cost_table.hpp), else all of them, as long as such nodes exist.
std::unique_ptr<Backend> make(int size, int rank, const CommunicatorOptions& options,
                              int ranks_per_node = 0);

}  // namespace lockstep::dry
