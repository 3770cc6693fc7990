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

// By its receiver, for which it waits: part of it has not left when its first byte is there.
bool Wires::held_back(const Message& m) {
  return waits(m) && cost_of(m).hold > ahead(cost_of(m));
}

// Those that it takes in its stage.
Shares::PortList Wires::shared_ports(const Message& m) const {
  Shares::PortList ports;
  ports.fill(Shares::kNoPort);
  const int ranks = static_cast<int>(nodes_.size());
  const bool of_nodes = node_ports_ && across(m);
  if (m.stage != Message::Stage::arriving) {
    ports[0] = 2 * m.from;
    if (of_nodes) ports[1] = 2 * (ranks + node(m.from));
  }
  if (m.stage != Message::Stage::leaving) {
    ports[2] = 2 * m.to + 1;
    if (of_nodes) ports[3] = 2 * (ranks + node(m.to)) + 1;
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
      note(end, number, Happening::What::stage_ends);
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
    case Happening::What::arrives:
      return arrive(now.message, now.time);
    case Happening::What::stage_ends:
      return end_stage(now.message, now.time);
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

void Wires::free_at(Port& from, double time) {
  from.send_free = time;
  if (from.first_waiting != Message::kNone) {
    note(time, from.first_waiting, Happening::What::port_is_free);
  }
}

// The port is free, and somebody waits for it.
void Wires::start_next(Port& from, double now) {
  const std::uint32_t number = from.first_waiting;
  from.first_waiting = messages_[number].behind;
  start(number, now);
}

// The port of its rank is free. One that is on the wire as a whole before its first byte is there
// leaves whatever its receiver does.
void Wires::start(std::uint32_t number, double now) {
  Message& m = messages_[number];
  Port& from = port(m.from);
  const MessageCost& cost = cost_of(m);
  const double first_byte = now + ahead(cost);
  m.left = now + cost.hold;
  from.send_free = kUntilItHasLeft;
  if (shares_) {
    if (!shares_rank_ports()) move(number, Message::Stage::leaving, cost.hold, now);
    return note(first_byte, number, Happening::What::arrives);
  }
  if (!held_back(m)) {
    free_at(from, m.left);
    if (net_.sender_done == SenderDone::when_sent) release_sender(number, m.left);
  }
  if (first_byte > now) return note(first_byte, number, Happening::What::arrives);
  take_in(number);
}

void Wires::arrive(std::uint32_t number, double now) {
  if (!shares_) return take_in(number);
  Message& m = messages_[number];
  const double hold = cost_of(m).hold;
  if (m.stage == Message::Stage::flying) return move(number, Message::Stage::arriving, hold, now);
  const double to_leave = shares_rank_ports() ? hold : shares_->leave(number, now);
  m.on_wire = hold - to_leave;
  move(number, Message::Stage::streaming, to_leave, now);
}

// Its first byte is there; the port takes it in when those in front are in.
void Wires::take_in(std::uint32_t number) {
  Message& m = messages_[number];
  Port& to = port(m.to);
  const MessageCost& cost = cost_of(m);
  const double unhindered = m.left - cost.hold + cost.flight;
  const double there = std::max(unhindered, to.receive_free + cost.hold);
  to.receive_free = there;
  if (held_back(m)) {
    m.left += there - unhindered;
    free_at(port(m.from), m.left);
    if (net_.sender_done == SenderDone::when_sent) release_sender(number, m.left);
  }
  land(number, there);
}

// ---- Shared ports. ----

void Wires::move(std::uint32_t number, Message::Stage stage, double seconds, double now) {
  Message& m = messages_[number];
  m.stage = stage;
  m.end = Message::kNotYet;
  shares_->join(number, seconds, shared_ports(m), now);
}

// Unless it was slowed down, and ends later.
void Wires::end_stage(std::uint32_t number, double now) {
  Message& m = messages_[number];
  if (m.end != now) return;
  m.end = Message::kNotYet;
  shares_->leave(number, now);
  if (m.stage == Message::Stage::arriving) {
    return land(number, std::max(now, m.left + ahead(cost_of(m))));
  }
  m.left = now;
  if (!shares_rank_ports()) free_at(port(m.from), now);
  if (net_.sender_done == SenderDone::when_sent) release_sender(number, now);
  if (m.stage == Message::Stage::leaving) {
    m.stage = Message::Stage::flying;
  } else if (m.on_wire > 0) {
    move(number, Message::Stage::arriving, m.on_wire, now);
  } else {
    land(number, now);
  }
}

// ---- Ends. ----

// Of one that waits: others went on when they had sent.
void Wires::release_sender(std::uint32_t number, double time) {
  Message& m = messages_[number];
  if (!waits(m)) return;
  m.gone = time;
  ended_.push_back({m.from, number});
}

void Wires::land(std::uint32_t number, double time) {
  Message& m = messages_[number];
  m.there = time;
  waiting_ += time - m.asked - cost_of(m).flight;
  ended_.push_back({m.to, number});
  if (net_.sender_done == SenderDone::when_arrived) release_sender(number, time);
}

}  // namespace lockstep
