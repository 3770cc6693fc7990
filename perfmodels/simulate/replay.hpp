// SPDX-License-Identifier: Apache-2.0
// What a recorded schedule takes on given links, message by message: a discrete-event simulation.
//
// Every rank has one port to send and one to receive; every node `ports` of each to the level
// "across", which its ranks share. Ports serve messages first come, first served, one at a time: a
// link is a queue, and not, as fluid models have it, a share of a rate for each message. A short
// message leaves when it is sent, and its sender goes on (eager); one above `rendezvous_bytes`
// leaves when both ends have posted it and the ports at both ends are free, a handshake later.
//
//   cost  O(m log m) for m messages in flight: about 1 us per message, 100 bytes each
#pragma once

#include <cstdint>
#include <limits>

#include "collectives/record.hpp"
#include "perfmodels/simulate/message_model.hpp"

namespace lockstep {

// Local steps that the formulas take as free.
enum class LocalCopies : std::uint8_t { free, priced };
// Whether a message that waits for its receiver pays for the handshake.
enum class Handshakes : std::uint8_t { free, priced };

struct LinkRules {
  std::shared_ptr<const MessageModel> model{};
  double rendezvous_bytes = std::numeric_limits<double>::infinity();  // from here on: above it
  int ports = 0;  // of a node; 0: as many as it has ranks
};

struct Network {
  LinkRules inside{}, across{};
  double gamma = 0;  // seconds per byte reduced
  SharedCosts shared{};
  bool crowded = false;
  LocalCopies copies = LocalCopies::priced;
  Handshakes handshakes = Handshakes::priced;
};

struct Replayed {
  double seconds = 0;  // until the last rank is done
  std::uint64_t messages = 0;
  double waiting = 0;  // of messages for ports, in all
};

// LogicError of a schedule whose messages do not match, or in which all wait for each other
// (verify.hpp says why).
Replayed replay(const Schedule& schedule, const Network& network);

}  // namespace lockstep
