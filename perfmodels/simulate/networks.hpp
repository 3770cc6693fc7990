// SPDX-License-Identifier: Apache-2.0
// Two networks to replay schedules on: the one that the formulas of the algorithms assume, and that
// of a machine profile.
#pragma once

#include "perfmodels/simulate/replay.hpp"

namespace lockstep {

// Every message takes alpha + beta n from when both ends are posted, during which it holds the
// ports of its two ranks; nodes have as many ports as ranks; local copies are free.
Network formula_network(const Links& links);

// What the profile knows: the finest model of each link (message_model.hpp), ports, rendezvous,
// what all pairs at once do to each other inside a node; defaults of links.hpp for the rest.
Network machine_network(const Machine& machine, const GroupShape& group);

// The call that prices are of: in place, near-equal blocks of bytes, neighbours on a node.
GroupCall priced_call(Collective what, double bytes, const GroupShape& group);

}  // namespace lockstep
