// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/replay.hpp"

#include <algorithm>
#include <queue>
#include <vector>

#include "perfmodels/simulate/local_steps.hpp"
#include "perfmodels/simulate/matching.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr double kNotYet = -1;
constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);

// The ports of a node to one direction; a message takes the one that is free first.
class Ports {
 public:
  explicit Ports(int ports) : free_(static_cast<std::size_t>(ports)) {}
  double& first_free() { return *std::min_element(free_.begin(), free_.end()); }

 private:
  std::vector<double> free_;
};

struct Message {
  int from = 0, to = 0;
  double bytes = 0;
  double sent_at = kNotYet, received_at = kNotYet;  // when each end posts it
  double gone = kNotYet, there = kNotYet;           // when the sender, the receiver may go on
  double asked = 0;                                 // for its ports
  double end = 0;                                   // of its stay in the sender's port
  std::uint32_t behind = kNone;                     // the next that waits for the same port
};

struct Rank {
  double time = 0;
  std::size_t next = 0;                                       // event
  std::size_t posted = 0, completed = 0;                      // of its messages
  std::vector<Ticket> tickets{};                              // of what is posted
  std::uint32_t blocked_on = kNone;                           // message
  double send_free = 0, receive_free = 0;                     // its ports
  std::uint32_t first_waiting = kNone, last_waiting = kNone;  // for the port to send
};

// The ranks that meet at a barrier.
struct Meeting {
  std::size_t come = 0;
  double last = 0;
};

// What happens at a time: a message asks for the port it leaves by, or its first byte arrives.
struct Happening {
  double time;
  std::uint64_t order;  // of two at the same time the one that was known first
  std::uint32_t message;
  enum class What : std::uint8_t { leaves, port_is_free, arrives } what;
  bool operator>(const Happening& other) const {
    return time != other.time ? time > other.time : order > other.order;
  }
};

class Simulation {
 public:
  Simulation(const Schedule& schedule, const Network& network)
      : schedule_(schedule),
        net_(network),
        matching_(match(schedule)),
        messages_(matching_.messages),
        ranks_(schedule.ranks.size()),
        meetings_(schedule.groups.size()) {
    const std::vector<int>& nodes = schedule.call.ranks_per_node;
    for (std::size_t node = 0; node < std::max<std::size_t>(nodes.size(), 1); ++node) {
      const int ports = net_.across.ports > 0 || nodes.empty() ? net_.across.ports : nodes[node];
      egress_.emplace_back(std::max(ports, 1));
      ingress_.emplace_back(std::max(ports, 1));
    }
    for (int r = 0; r < schedule.call.ranks(); ++r)
      nodes_.push_back(schedule.call.node_of(r));
  }

  Replayed run() {
    for (std::size_t r = ranks_.size(); r > 0; --r)
      runnable_.push_back(static_cast<int>(r - 1));
    advance_all();
    while (!agenda_.empty()) {
      const Happening now = agenda_.top();
      agenda_.pop();
      handle(now);
      advance_all();
    }
    Replayed result{.messages = matching_.messages, .waiting = waiting_};
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      expect(ranks_[r].next == schedule_.ranks[r].events.size(), "all ranks wait for each other");
      result.seconds = std::max(result.seconds, ranks_[r].time);
    }
    return result;
  }

 private:
  // ---- Ranks: each goes on by itself until it must wait for a message or a barrier. ----

  Rank& rank(int r) { return ranks_[static_cast<std::size_t>(r)]; }
  const Track& track(int r) const { return schedule_.ranks[static_cast<std::size_t>(r)]; }

  void advance_all() {
    while (!runnable_.empty()) {
      const int r = runnable_.back();
      runnable_.pop_back();
      advance(r);
    }
  }

  void advance(int r) {
    const Track& mine = track(r);
    while (rank(r).next < mine.events.size() && act(r, mine, mine.events[rank(r).next]))
      ++rank(r).next;
  }

  // False: not yet, and who ends the waiting knows of it.
  bool act(int r, const Track& mine, const Event& e) {
    switch (e.what) {
      case Event::What::send:
        send(r, e, static_cast<double>(mine.ins(e)[0].bytes));
        return true;
      case Event::What::receive:
        receive(r, e);
        return true;
      case Event::What::complete:
        return complete(r, e.ticket);
      case Event::What::barrier:
      case Event::What::stage:
      case Event::What::show:
        return meet(r, mine, e);
      default:
        rank(r).time += seconds_alone(schedule_, r, e, net_);
        return true;
    }
  }

  // ---- Barriers in shared memory. ----

  bool meet(int r, const Track& mine, const Event& e) {
    if (e.what == Event::What::stage) {
      rank(r).time += static_cast<double>(mine.ins(e)[0].bytes) * net_.shared.stage;
    }
    Meeting& meeting = meetings_[static_cast<std::size_t>(e.peer)];
    const std::vector<int>& group = schedule_.groups[static_cast<std::size_t>(e.peer)];
    meeting.last = std::max(meeting.last, rank(r).time);
    if (++meeting.come < group.size()) return false;
    const double sync = net_.crowded ? net_.shared.crowded_sync : net_.shared.sync;
    const auto p = static_cast<double>(group.size());
    const double end = meeting.last + (group.size() > 1 ? p * sync : 0);
    meeting = {};
    for (const int member : group) {
      rank(member).time = end;
      if (member == r) continue;
      ++rank(member).next;
      runnable_.push_back(member);
    }
    return true;
  }

  // ---- Both ends of a message. ----

  std::uint32_t post(int r, const Event& e) {
    Rank& me = rank(r);
    me.tickets.push_back(e.ticket);
    return matching_.posted[static_cast<std::size_t>(r)][me.posted++];
  }

  void send(int r, const Event& e, double bytes) {
    const std::uint32_t number = post(r, e);
    Message& m = messages_[number];
    m.from = r;
    m.to = e.peer;
    m.bytes = bytes;
    rank(r).time += cost_of(m).send;
    m.sent_at = rank(r).time;
    if (!waits(m)) {
      m.gone = m.sent_at;
      ask(number, m.sent_at);
    } else if (m.received_at != kNotYet) {
      ask(number, std::max(m.sent_at, m.received_at) + handshake(m));
    }
  }

  void receive(int r, const Event& e) {
    const std::uint32_t number = post(r, e);
    Message& m = messages_[number];
    m.received_at = rank(r).time;
    if (m.sent_at != kNotYet && waits(m)) {
      ask(number, std::max(m.sent_at, m.received_at) + handshake(m));
    }
  }

  bool complete(int r, Ticket up_to) {
    Rank& me = rank(r);
    const auto& mine = matching_.posted[static_cast<std::size_t>(r)];
    for (; me.completed < me.posted && me.tickets[me.completed] <= up_to; ++me.completed) {
      const Message& m = messages_[mine[me.completed]];
      // Which end of it is this rank's: no rank sends to itself.
      const bool sends = m.sent_at != kNotYet && m.from == r;
      const double end = sends ? m.gone : m.there;
      if (end == kNotYet) {
        me.blocked_on = mine[me.completed];
        return false;
      }
      me.time = std::max(me.time, end);
      if (!sends) me.time += cost_of(m).receive;
    }
    me.blocked_on = kNone;
    return true;
  }

  void wake(int r, std::uint32_t message) {
    if (rank(r).blocked_on == message) runnable_.push_back(r);
  }

  // ---- Messages on their way. ----

  bool across(const Message& m) const {
    return nodes_[static_cast<std::size_t>(m.from)] != nodes_[static_cast<std::size_t>(m.to)];
  }
  const LinkRules& rules(const Message& m) const { return across(m) ? net_.across : net_.inside; }
  bool waits(const Message& m) const { return m.bytes > rules(m).rendezvous_bytes; }
  double handshake(const Message& m) {
    return net_.handshakes == Handshakes::priced ? cost_of(m).handshake : 0;
  }

  // Most messages of a schedule have one of a few sizes.
  const MessageCost& cost_of(const Message& m) {
    auto& known = known_costs_[across(m) ? 1 : 0];
    for (auto it = known.rbegin(); it != known.rend(); ++it) {
      if (it->first == m.bytes) return it->second;
    }
    if (known.size() == kKnownSizes) known.clear();
    MessageCost cost = rules(m).model->of(m.bytes);
    if (net_.crowded) {  // each waits until all others had their turn
      const double turns = static_cast<double>(ranks_.size()) * net_.shared.crowded_sync;
      cost.flight += turns;
      cost.hold += turns;
    }
    return known.emplace_back(m.bytes, cost).second;
  }

  void ask(std::uint32_t number, double time) {
    messages_[number].asked = time;
    note(time, number, Happening::What::leaves);
  }
  void note(double time, std::uint32_t message, Happening::What what) {
    agenda_.push({time, order_++, message, what});
  }

  void handle(const Happening& now) {
    const std::uint32_t number = now.message;
    Rank& from = rank(messages_[number].from);
    switch (now.what) {
      case Happening::What::leaves:
        if (from.first_waiting != kNone) {
          messages_[from.last_waiting].behind = number;
          from.last_waiting = number;
        } else if (from.send_free > now.time) {
          from.first_waiting = from.last_waiting = number;
          note(from.send_free, number, Happening::What::port_is_free);
        } else {
          start(number, now.time);
        }
        return;
      case Happening::What::port_is_free:
        start(number, now.time);
        from.first_waiting = messages_[number].behind;
        if (from.first_waiting != kNone) {
          note(from.send_free, from.first_waiting, Happening::What::port_is_free);
        }
        return;
      case Happening::What::arrives:
        arrive(number);
        return;
    }
  }

  // The port of its rank is free. One that waits for its receiver waits for all ports at once.
  void start(std::uint32_t number, double now) {
    Message& m = messages_[number];
    Rank &from = rank(m.from), &to = rank(m.to);
    const MessageCost& cost = cost_of(m);
    double begin = now;
    double* egress = across(m) ? &egress_of(m.from).first_free() : nullptr;
    if (egress) begin = std::max(begin, *egress);
    if (waits(m)) {
      const double ahead = std::max(cost.flight - cost.hold, 0.0);  // of its first byte there
      begin = std::max(begin, to.receive_free - ahead);
      if (egress) begin = std::max(begin, ingress_of(m.to).first_free() - ahead);
    }
    waiting_ += begin - m.asked;
    m.end = begin + cost.hold;
    from.send_free = m.end;
    if (egress) *egress = m.end;
    const double first_byte = begin + std::max(cost.flight - cost.hold, 0.0);
    m.asked = first_byte;
    if (waits(m)) {
      m.gone = m.end;
      wake(m.from, number);
      arrive(number);
    } else {
      note(first_byte, number, Happening::What::arrives);
    }
  }

  void arrive(std::uint32_t number) {
    Message& m = messages_[number];
    Rank& to = rank(m.to);
    const MessageCost& cost = cost_of(m);
    double* ingress = across(m) ? &ingress_of(m.to).first_free() : nullptr;
    const double free = std::max(to.receive_free, ingress ? *ingress : 0.0);
    const double unhindered = m.end - cost.hold + cost.flight;
    m.there = std::max(unhindered, free + cost.hold);
    waiting_ += m.there - unhindered;
    to.receive_free = m.there;
    if (ingress) *ingress = m.there;
    wake(m.to, number);
  }

  Ports& egress_of(int r) { return egress_[node(r)]; }
  Ports& ingress_of(int r) { return ingress_[node(r)]; }
  std::size_t node(int r) const {
    return static_cast<std::size_t>(nodes_[static_cast<std::size_t>(r)]);
  }

  static constexpr std::size_t kKnownSizes = 8;

  const Schedule& schedule_;
  const Network& net_;
  Matching matching_;
  std::vector<Message> messages_;
  std::vector<Rank> ranks_;
  std::vector<Meeting> meetings_;
  std::vector<Ports> egress_, ingress_;
  std::vector<int> nodes_, runnable_;
  std::priority_queue<Happening, std::vector<Happening>, std::greater<>> agenda_;
  std::vector<std::pair<double, MessageCost>> known_costs_[2];
  std::uint64_t order_ = 0;
  double waiting_ = 0;
};

}  // namespace

Replayed replay(const Schedule& schedule, const Network& network) {
  return Simulation(schedule, network).run();
}

}  // namespace lockstep
