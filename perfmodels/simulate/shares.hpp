// SPDX-License-Identifier: Apache-2.0
// Ports that several messages use at once, as an adapter does that sends a packet of each in turn:
// every message gets an equal share of a port, and what one of them cannot use, since another port
// holds it back, the others get (max-min fairness; D. Bertsekas, R. Gallager, Data Networks, 6.5).
//
//   cost  of a change O(f + ports), f the messages that share a port with the changed ones,
//   directly
//         or by way of others; all changes of one instant count once
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace lockstep {

class Shares {
 public:
  static constexpr std::size_t kMostPorts = 4;  // of one message
  static constexpr int kNoPort = -1;
  using PortList = std::array<int, kMostPorts>;

  // capacities[port]: how many messages it takes at their full rates.
  explicit Shares(std::vector<double> capacities);

  // `message` begins to move through `ports`; alone it would take `seconds`.
  void join(std::uint32_t message, double seconds, const PortList& ports, double now);
  // Says how many of its seconds are left.
  double leave(std::uint32_t message, double now);
  bool changed() const { return !changed_.empty(); }
  // After all that joined and left at this time: tells every message that ends at another time now.
  using Told = std::function<void(std::uint32_t message, double end)>;
  void settle(double now, const Told& told);

 private:
  struct Flow {
    std::uint32_t message;
    PortList ports;
    double left;  // seconds at the full rate
    double since, rate = 0;
    double next_rate = kUnknown;
    bool reached = false;
    double left_at(double now) const { return std::max(left - (now - since) * rate, 0.0); }
  };
  struct Port {
    double capacity;
    std::vector<std::uint32_t> flows{};
    double left = 0;  // of the capacity, for those whose rate is not known yet
    std::size_t open = 0;
    bool reached = false;
    double share() const { return left / static_cast<double>(open); }
  };
  static constexpr double kUnknown = -1;

  void reach();
  void reach_port(int port);
  void share_out();
  void grant(Flow& flow, double rate);

  std::vector<Port> ports_;
  std::vector<Flow> flows_;
  std::vector<std::uint32_t> unused_;   // places in flows_
  std::vector<std::uint32_t> slot_of_;  // of a message
  std::vector<int> changed_;            // ports
  std::vector<int> reached_ports_;
  std::vector<std::uint32_t> reached_flows_;
};

}  // namespace lockstep
