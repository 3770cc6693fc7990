// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/shares.hpp"

#include <algorithm>

namespace lockstep {

Shares::Shares(std::vector<double> capacities) {
  for (const double capacity : capacities)
    ports_.push_back({.capacity = capacity});
}

void Shares::join(std::uint32_t message, double seconds, const PortList& ports, double now) {
  if (unused_.empty()) {
    unused_.push_back(static_cast<std::uint32_t>(flows_.size()));
    flows_.emplace_back();
  }
  const std::uint32_t slot = unused_.back();
  unused_.pop_back();
  flows_[slot] = {.message = message, .ports = ports, .left = seconds, .since = now};
  if (slot_of_.size() <= message) slot_of_.resize(message + 1);
  slot_of_[message] = slot;
  for (const int port : ports) {
    if (port == kNoPort) continue;
    ports_[static_cast<std::size_t>(port)].flows.push_back(slot);
    changed_.push_back(port);
  }
}

double Shares::leave(std::uint32_t message, double now) {
  const std::uint32_t slot = slot_of_[message];
  for (const int port : flows_[slot].ports) {
    if (port == kNoPort) continue;
    auto& flows = ports_[static_cast<std::size_t>(port)].flows;
    flows.erase(std::find(flows.begin(), flows.end(), slot));
    changed_.push_back(port);
  }
  unused_.push_back(slot);
  return flows_[slot].left_at(now);
}

void Shares::settle(double now, const Told& told) {
  reach();
  share_out();
  for (const std::uint32_t slot : reached_flows_) {
    Flow& flow = flows_[slot];
    flow.reached = false;
    if (flow.next_rate == flow.rate) continue;
    flow.left = flow.left_at(now);
    flow.since = now;
    flow.rate = flow.next_rate;
    told(flow.message, now + flow.left / flow.rate);
  }
  for (const int port : reached_ports_)
    ports_[static_cast<std::size_t>(port)].reached = false;
}

// All that a change can be felt by.
void Shares::reach() {
  reached_ports_.clear();
  reached_flows_.clear();
  for (const int port : changed_)
    reach_port(port);
  changed_.clear();
  for (std::size_t i = 0; i < reached_ports_.size(); ++i) {
    for (const std::uint32_t slot : ports_[static_cast<std::size_t>(reached_ports_[i])].flows) {
      Flow& flow = flows_[slot];
      if (flow.reached) continue;
      flow.reached = true;
      flow.next_rate = kUnknown;
      reached_flows_.push_back(slot);
      for (const int port : flow.ports)
        if (port != kNoPort) reach_port(port);
    }
  }
}

void Shares::reach_port(int number) {
  Port& port = ports_[static_cast<std::size_t>(number)];
  if (port.reached) return;
  port.reached = true;
  port.left = port.capacity;
  port.open = port.flows.size();
  reached_ports_.push_back(number);
}

// The ports with the least to give to each settle their messages first; what these leave to other
// ports goes to the rest.
void Shares::share_out() {
  constexpr double kSame = 1 + 1e-12;
  std::size_t open = reached_flows_.size();
  while (open > 0) {
    double least = 1;
    for (const int p : reached_ports_) {
      const Port& port = ports_[static_cast<std::size_t>(p)];
      if (port.open > 0) least = std::min(least, port.share());
    }
    const auto settle_flow = [&](std::uint32_t slot) {
      if (flows_[slot].next_rate != kUnknown) return;
      grant(flows_[slot], least);
      --open;
    };
    for (const int p : reached_ports_) {
      const Port& port = ports_[static_cast<std::size_t>(p)];
      if (port.open == 0 || port.share() > least * kSame) continue;
      std::for_each(port.flows.begin(), port.flows.end(), settle_flow);
    }
    if (least == 1) std::for_each(reached_flows_.begin(), reached_flows_.end(), settle_flow);
  }
}

void Shares::grant(Flow& flow, double rate) {
  flow.next_rate = rate;
  for (const int p : flow.ports) {
    if (p == kNoPort) continue;
    Port& port = ports_[static_cast<std::size_t>(p)];
    port.left -= rate;
    --port.open;
  }
}

}  // namespace lockstep
