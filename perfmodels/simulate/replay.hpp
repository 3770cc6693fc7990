// SPDX-License-Identifier: Apache-2.0
// What a recorded schedule takes on given links, message by message: a discrete-event simulation.
//
// Every rank has one port to send and one to receive. They serve messages first come, first served,
// one at a time: what one rank sends is a queue, and not, as fluid models have it, a share of a
// rate for each message. Every node has `ports` of each to the level "across". Where these are
// fewer than its ranks they are shared: an adapter takes a packet of each rank in turn
// (shares.hpp), so that messages which leave together end together, and the latency of the next
// step is not hidden behind them. A port in serves what arrives first, not what left first. A short
// message leaves when it is sent, and its sender goes on (eager); one above `rendezvous_bytes`
// leaves when both ends have posted it, a handshake later, and what of it has not left when its
// first byte is there waits for the receiver's port.
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

// What a rank's port does with several messages at once.
enum class RankPorts : std::uint8_t {
  queue,  // one after the other
  share   // all, each at its share of the rate, behind its latency: as fluid simulators have it
};

// When the sender of a message that waited for its receiver may go on.
enum class SenderDone : std::uint8_t {
  when_sent,    // its last byte has left: written to a socket, or put into the receiver's memory
  when_arrived  // the receiver has it: where this one fetches it, and says so
};

struct LinkRules {
  std::shared_ptr<const MessageModel> model{};
  double rendezvous_bytes = std::numeric_limits<double>::infinity();  // from here on: above it
  int ports = 0;  // of a node, across; 0: as many as it has ranks
};

struct Network {
  LinkRules inside{}, across{};
  double gamma = 0;  // seconds per byte reduced
  SharedCosts shared{};
  bool crowded = false;
  LocalCopies copies = LocalCopies::priced;
  Handshakes handshakes = Handshakes::priced;
  RankPorts rank_ports = RankPorts::queue;
  SenderDone sender_done = SenderDone::when_sent;
};

struct Replayed {
  double seconds = 0;  // until the last rank is done
  std::uint64_t messages = 0;
  double waiting = 0;  // of messages for ports, in all; also what sharing one adds
};

// LogicError of a schedule whose messages do not match, or in which all wait for each other
// (verify.hpp says why).
Replayed replay(const Schedule& schedule, const Network& network);

}  // namespace lockstep
