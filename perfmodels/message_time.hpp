// SPDX-License-Identifier: Apache-2.0
// What a message between pipeline stages takes: by where its ends lie on the nodes, and by how many
// of a node's ranks send such messages to other nodes at once, through the ports that they share.
#pragma once

#include "parallelism/mesh/degrees.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// All ranks of stage `from` send to their neighbours in stage `to` at once.
struct MessagePlace {
  bool across = false;  // some of them to other nodes
  int at_once = 1;      // of one node through its ports; inside: pairs of one node
};
MessagePlace message_place(int from, int to, const MeshDegrees& degrees, int ranks_per_node);

struct MessageTime {
  Figure seconds{};
  bool eager = false;  // its sender does not wait for the receiver
  bool in_range = false;
};
MessageTime message_time(const Machine& machine, double bytes, const MessagePlace& place);

}  // namespace lockstep
