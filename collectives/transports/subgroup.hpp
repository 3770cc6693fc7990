// SPDX-License-Identifier: Apache-2.0
// Some of the ranks of a transport as a transport of their own: no messages of its own, no cost;
// rank i here is ranks[i] there. Its messages must not be mixed with open ones of the whole.
#pragma once

#include <memory>
#include <vector>

#include "collectives/transport.hpp"

namespace lockstep {

// `ranks` are ascending, and this rank is among them. The whole outlives it.
std::unique_ptr<Transport> make_subgroup(Transport& whole, std::vector<int> ranks);

}  // namespace lockstep
