// SPDX-License-Identifier: Apache-2.0
// Closed formulas of collectives in any model of messages (simulate/message_model.hpp): LogP,
// LogGP, PLogP, and Hockney's again. An algorithm's longest chain of events is a list of messages
// that wait for each other, of messages that only queue at a port, and of bytes that are reduced; a
// model says what each costs.
//
//   step    T(m): send, flight and receive         LogGP: L + o_send + o_recv + (m-1)G
//   queued  the next message of a port             LogGP: max(g, o) + (m-1)G
//
// So the ring is 2(p-1) steps of n/p bytes, a chain p-1 steps and then k-1 queued segments. The
// Hockney formula of each algorithm, with nodes and shared memory, stands with the algorithm.
// Sources: Alexandrov 1997, Kielmann 2000, Pjesivac-Grbovic 2007 (Cluster Computing 10(2)).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "collectives/call.hpp"
#include "perfmodels/simulate/message_model.hpp"

namespace lockstep {

struct PathTerm {
  enum class Kind : std::uint8_t {
    step,
    sends,     // queued at a rank that sends all of them
    receives,  // at one that receives them
    relays     // at one that receives and sends each
  };
  double times = 0, bytes = 0;
  Kind kind = Kind::step;
};

struct CriticalPath {
  std::vector<PathTerm> terms{};
  double reduced = 0;  // bytes
};

// Of p ranks and n bytes of the full vector. Nothing for algorithms whose path is not that simple
// (several trees, nodes, shared memory), or not for such p.
std::optional<CriticalPath> critical_path(Collective what, std::string_view name, int p, double n);

double path_seconds(const CriticalPath& path, const MessageModel& model, double gamma);

}  // namespace lockstep
