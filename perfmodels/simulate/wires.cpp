// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/wires.hpp"

#include <algorithm>

namespace lockstep {

namespace {

constexpr std::size_t kKnownSizes = 8;
constexpr double kUntilItHasLeft = std::numeric_limits<double>::infinity();

// Shared ports: of every rank one out and one in, then of every node the same.
std::vector<double> capacities(const Schedule& schedule, const Network& network) {
  std::vector<double> all(2 * schedule.ranks.size(), 1);
  const std::size_t nodes = std::max<std::size_t>(schedule.call.ranks_per_node.size(), 1);
  const double of_node = std::max(network.across.ports, 1);
  all.resize(all.size() + 2 * nodes, of_node);
  return all;
}

// Of its first byte before its last, on the wire.
double ahead(const MessageCost& cost) {
  return std::max(cost.flight - cost.hold, 0.0);
}

}  // namespace

Wires::Wires(const Schedule& schedule, const Network& network, std::uint32_t num_messages)
    : net_(network), messages_(num_messages), ports_(schedule.ranks.size()) {
  for (int r = 0; r < schedule.call.ranks(); ++r)
    nodes_.push_back(schedule.call.node_of(r));
  const std::vector<int>& nodes = schedule.call.ranks_per_node;
  const int most = nodes.empty() ? 1 : *std::max_element(nodes.begin(), nodes.end());
  node_ports_ = net_.across.ports > 0 && net_.across.ports < most;
  if (node_ports_ || shares_rank_ports()) shares_.emplace(capacities(schedule, network));
}

// Most messages of a schedule have one of a few sizes.
const MessageCost& Wires::cost_of(const Message& m) {
  auto& known = known_costs_[across(m) ? 1 : 0];
  for (auto it = known.rbegin(); it != known.rend(); ++it) {
    if (it->first == m.bytes) return it->second;
  }
  if (known.size() == kKnownSizes) known.clear();
  MessageCost cost = rules(m).model->of(m.bytes);
  if (net_.crowded) {  // each waits until all others had their turn
    const double turns = static_cast<double>(ports_.size()) * net_.shared.crowded_sync;
    cost.flight += turns;
    cost.hold += turns;
  }
  return known.emplace_back(m.bytes, cost).second;
}

Shares::PortList Wires::shared_ports(const Message& m) const {
  Shares::PortList ports;
  ports.fill(Shares::kNoPort);
  const int ranks = static_cast<int>(nodes_.size());
  ports[0] = 2 * m.from;
  ports[1] = 2 * m.to + 1;
  if (node_ports_ && across(m)) {
    ports[2] = 2 * (ranks + node(m.from));
    ports[3] = 2 * (ranks + node(m.to)) + 1;
  }
  return ports;
}

void Wires::ask(std::uint32_t number, double time) {
  messages_[number].asked = time;
  note(time, number, Happening::What::leaves);
}

void Wires::note(double time, std::uint32_t message, Happening::What what) {
  agenda_.push({time, order_++, message, what});
}

bool Wires::advance() {
  if (shares_ && shares_->changed() && (agenda_.empty() || agenda_.top().time > now_)) {
    shares_->settle(now_, [this](std::uint32_t number, double end) {
      messages_[number].end = end;
      note(end, number, Happening::What::left);
    });
  }
  if (agenda_.empty()) return false;
  const Happening next = agenda_.top();
  agenda_.pop();
  now_ = next.time;
  handle(next);
  return true;
}

void Wires::handle(const Happening& now) {
  switch (now.what) {
    case Happening::What::leaves:
      return queue(now.message, now.time);
    case Happening::What::port_is_free:
      return start_next(port(messages_[now.message].from), now.time);
    case Happening::What::joins:
      return join(now.message, now.time);
    case Happening::What::left:
      return left(now.message, now.time);
    case Happening::What::arrives:
      return arrive(now.message);
  }
}

void Wires::queue(std::uint32_t number, double now) {
  Port& from = port(messages_[number].from);
  if (shares_rank_ports()) return start(number, now);
  if (from.first_waiting != Message::kNone) {
    messages_[from.last_waiting].behind = number;
    from.last_waiting = number;
  } else if (from.send_free > now) {
    from.first_waiting = from.last_waiting = number;
    if (from.send_free < kUntilItHasLeft) {
      note(from.send_free, number, Happening::What::port_is_free);
    }
  } else {
    start(number, now);
  }
}

// The port is free, and somebody waits for it.
void Wires::start_next(Port& from, double now) {
  const std::uint32_t number = from.first_waiting;
  start(number, now);
  from.first_waiting = messages_[number].behind;
  if (from.first_waiting != Message::kNone && from.send_free < kUntilItHasLeft) {
    note(from.send_free, from.first_waiting, Happening::What::port_is_free);
  }
}

// The port of its rank is free. One that waits for its receiver waits for its port, too.
void Wires::start(std::uint32_t number, double now) {
  Message& m = messages_[number];
  Port &from = port(m.from), &to = port(m.to);
  const MessageCost& cost = cost_of(m);
  if (shares_) {
    from.send_free = kUntilItHasLeft;
    return shares_rank_ports() ? note(now + ahead(cost), number, Happening::What::joins)
                               : join(number, now);
  }
  double begin = now;
  if (waits(m)) begin = std::max(begin, to.receive_free - ahead(cost));
  waiting_ += begin - m.asked;
  m.end = from.send_free = begin + cost.hold;
  m.asked = begin + ahead(cost);
  if (waits(m)) {
    arrive(number);
    release_sender(number, m.end);
  } else {
    note(m.asked, number, Happening::What::arrives);
  }
}

void Wires::join(std::uint32_t number, double now) {
  const Message& m = messages_[number];
  shares_->join(number, cost_of(m).hold, shared_ports(m), now);
}

// The last byte of one that shared its ports, its receiver's among them; unless it was slowed down.
void Wires::left(std::uint32_t number, double now) {
  Message& m = messages_[number];
  if (m.end != now || m.there != Message::kNotYet) return;
  const MessageCost& cost = cost_of(m);
  shares_->leave(number);
  waiting_ += now - m.asked - (shares_rank_ports() ? cost.flight : cost.hold);
  m.there = now + (shares_rank_ports() ? 0 : ahead(cost));
  ended_.push_back({m.to, number});
  if (waits(m)) release_sender(number, now);
  if (shares_rank_ports()) return;
  Port& from = port(m.from);
  from.send_free = now;
  if (from.first_waiting != Message::kNone) start_next(from, now);
}

// Of one that waits; when it is there is known.
void Wires::release_sender(std::uint32_t number, double sent) {
  Message& m = messages_[number];
  m.gone = net_.sender_done == SenderDone::when_sent ? sent : m.there;
  ended_.push_back({m.from, number});
}

void Wires::arrive(std::uint32_t number) {
  Message& m = messages_[number];
  Port& to = port(m.to);
  const MessageCost& cost = cost_of(m);
  const double unhindered = m.end - cost.hold + cost.flight;
  m.there = std::max(unhindered, to.receive_free + cost.hold);
  waiting_ += m.there - unhindered;
  to.receive_free = m.there;
  ended_.push_back({m.to, number});
}

}  // namespace lockstep
