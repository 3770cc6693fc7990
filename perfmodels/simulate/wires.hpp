// SPDX-License-Identifier: Apache-2.0
// Messages of a replay on their way: who uses which port when. Ranks (replay.cpp) post them and are
// told when an end may go on.
//
// A message takes the ports of its sender when it begins to leave, and those of its receiver when
// its first byte is there, so that receivers serve in the order of arrival. Until then the sender
// cannot know how busy the receiver is; from then on bytes leave as they arrive, if it waits for
// its receiver or ports are shared. What was on the wire by then arrives when the rest has left.
//
//   sender's ports     |---leaving---|--streaming--|
//   receiver's ports                 |--streaming--|--arriving--|    short ones never stream
//                      begins        first byte there           last byte there
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "perfmodels/simulate/replay.hpp"
#include "perfmodels/simulate/shares.hpp"

namespace lockstep {

struct Message {
  static constexpr double kNotYet = -1;
  // Where ports are shared. Flying: its last byte has left, its first is not there.
  enum class Stage : std::uint8_t { leaving, flying, streaming, arriving };
  static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);

  int from = 0, to = 0;
  double bytes = 0;
  double sent_at = kNotYet, received_at = kNotYet;  // when each end posts it
  double gone = kNotYet, there = kNotYet;           // when the sender, the receiver may go on
  double asked = 0;                                 // for its ports
  double left = kNotYet;                            // its last byte, the sender
  double end = kNotYet;                             // of its stage, if nothing changes
  double on_wire = 0;            // of its seconds in a port: what no longer leaves and is not there
  std::uint32_t behind = kNone;  // the next that waits for the same port
  Stage stage = Stage::leaving;
};

class Wires {
 public:
  Wires(const Schedule& schedule, const Network& network, std::uint32_t num_messages);

  Message& operator[](std::uint32_t number) { return messages_[number]; }
  bool waits(const Message& m) const { return m.bytes > rules(m).rendezvous_bytes; }
  const MessageCost& cost_of(const Message& m);

  // At `time` all ends that it needs have posted it.
  void ask(std::uint32_t number, double time);

  // What happens next. False: nothing is under way any more.
  bool advance();
  // Ends of messages that are done since the last time this was asked.
  struct Ended {
    int rank;
    std::uint32_t message;
  };
  void take_ended(std::vector<Ended>& ended) {
    ended.clear();
    std::swap(ended, ended_);
  }

  double waiting() const { return waiting_; }

 private:
  // A message asks for the port it leaves by, or gets it, its first byte is there, its stage ends.
  struct Happening {
    enum class What : std::uint8_t { leaves, port_is_free, arrives, stage_ends };
    double time;
    std::uint64_t order;  // of two at the same time the one that was known first
    std::uint32_t message;
    What what;
    bool operator>(const Happening& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };
  // Of a rank.
  struct Port {
    double send_free = 0, receive_free = 0;
    std::uint32_t first_waiting = Message::kNone, last_waiting = Message::kNone;  // to send
  };

  bool across(const Message& m) const { return node(m.from) != node(m.to); }
  const LinkRules& rules(const Message& m) const { return across(m) ? net_.across : net_.inside; }
  int node(int rank) const { return nodes_[static_cast<std::size_t>(rank)]; }
  Port& port(int rank) { return ports_[static_cast<std::size_t>(rank)]; }
  bool shares_rank_ports() const { return net_.rank_ports == RankPorts::share; }
  bool held_back(const Message& m);
  Shares::PortList shared_ports(const Message& m) const;

  void note(double time, std::uint32_t message, Happening::What what);
  void handle(const Happening& now);
  void queue(std::uint32_t number, double now);
  void free_at(Port& from, double time);
  void start_next(Port& from, double now);
  void start(std::uint32_t number, double now);
  void arrive(std::uint32_t number, double now);
  void take_in(std::uint32_t number);
  void move(std::uint32_t number, Message::Stage stage, double seconds, double now);
  void end_stage(std::uint32_t number, double now);
  void release_sender(std::uint32_t number, double time);
  void land(std::uint32_t number, double time);

  const Network& net_;
  std::vector<int> nodes_;  // of the ranks
  std::vector<Message> messages_;
  std::vector<Port> ports_;
  bool node_ports_ = false;  // fewer than ranks
  std::optional<Shares>
      shares_;  // where any port is shared; all messages then share those they use
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>> agenda_;
  std::vector<std::pair<double, MessageCost>> known_costs_[2];
  std::vector<Ended> ended_;
  std::uint64_t order_ = 0;
  double now_ = 0, waiting_ = 0;
};

}  // namespace lockstep
