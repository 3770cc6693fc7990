// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/message_time.hpp"

#include <algorithm>
#include <map>

#include "collectives/links.hpp"
#include "perfmodels/collective_price.hpp"
#include "perfmodels/cost_table.hpp"
#include "perfmodels/models/hockney.hpp"

namespace lockstep {

namespace {

// Seconds that sharing adds: `share` times beta n.
Figure slowed(const Figure& alone, const Figure& beta, double bytes, double share) {
  const double more = beta.value * bytes * share;
  if (alone.high == 0) return {alone.value + more};
  return {alone.value + more, alone.low + more, alone.high + more};
}

}  // namespace

MessagePlace message_place(int from, int to, const MeshDegrees& degrees, int ranks_per_node) {
  if (ranks_per_node <= 0) return {};
  std::map<int, int> across, inside;  // messages of each node
  for (int d = 0; d < degrees.data; ++d) {
    for (int t = 0; t < degrees.tensor; ++t) {
      const int node = rank_at({d, t, from}, degrees) / ranks_per_node;
      const bool leaves = rank_at({d, t, to}, degrees) / ranks_per_node != node;
      ++(leaves ? across : inside)[node];
    }
  }
  const auto most = [](const std::map<int, int>& messages) {
    int count = 0;
    for (const auto& [node, n] : messages)
      count = std::max(count, n);
    return count;
  };
  if (across.empty()) return {false, most(inside)};
  return {true, most(across)};
}

MessageTime message_time(const Machine& machine, double bytes, const MessagePlace& place) {
  const LinkProfile* link = machine.find_link(place.across ? "across" : "inside");
  const Figure alone = link ? message_seconds(*link, bytes) : Figure{};
  if (!alone.known()) {
    const Links links;
    const Link& fallback = place.across ? links.across : links.inside;
    return {{fallback.alpha + bytes * fallback.beta}, true, false};
  }
  const double contention = link->contention.known() ? link->contention.value : 1;
  const double sharing = std::max(static_cast<double>(place.at_once) / std::max(link->ports, 1.0),
                                  place.at_once > 1 ? contention : 1.0);
  const bool waits = link->rendezvous_bytes > 0 && bytes > link->rendezvous_bytes;
  return {slowed(alone, line_of(*link).beta, bytes, std::max(sharing - 1, 0.0)), !waits, true};
}

MessageTime message_time(const Machine& machine, double bytes, const MessagePlace& place,
                         const MessageKind& kind) {
  if (kind.parts <= 1) return message_time(machine, bytes, place);
  MessageTime part = message_time(machine, bytes / kind.parts, place);
  const GroupShape tensor = on_machine(machine, assumed_shape(kind.parts, 1));
  const Price gather = price_of(machine, Collective::all_gather, bytes, tensor, "");
  part.seconds = sum(part.seconds, gather.seconds);
  part.in_range = part.in_range && gather.in_range;
  return part;
}

}  // namespace lockstep
