// SPDX-License-Identifier: Apache-2.0
// What a message between pipeline stages takes: by where its ends lie on the nodes, and by how many
// of a node's ranks send such messages to other nodes at once, through the ports that they share.
// In parts: each of t tensor ranks sends 1/t of what they all have, and all gather the rest behind
// it (scatter/gather of D. Narayanan et al., SC 2021, section 4.1).
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

// How the messages of a pipeline are sent.
struct MessageKind {
  bool awaited = false;  // nothing is computed meanwhile (exchanges.hpp)
  int parts = 1;         // tensor ranks that send one tensor together
};
MessageTime message_time(const Machine& machine, double bytes, const MessagePlace& place,
                         const MessageKind& kind);

}  // namespace lockstep
