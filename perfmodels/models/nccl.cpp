// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/models/nccl.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lockstep {

namespace {

constexpr double kMicro = 1e-6;

// Seconds of a call, of a step over NVLink and over the network; share of the bus bandwidth; times
// that a step inside takes as long where there are several nodes.
struct Protocol {
  double base, inside, across;
  double share, slower = 1;
};
// LL, LL128, Simple.
constexpr Protocol kRing[] = {{3.6 * kMicro, 0.47 * kMicro, 2.7 * kMicro, 1.0 / 4, 1.8},
                              {10.0 * kMicro, 1.9 * kMicro, 4.0 * kMicro, 0.92},
                              {8.4 * kMicro, 3.4 * kMicro, 9.6 * kMicro, 1}};
constexpr Protocol kTree[] = {{4.4 * kMicro, 0.52 * kMicro, 5.0 * kMicro, 1 / 3.8, 1.8},
                              {4.4 * kMicro, 1.2 * kMicro, 8.5 * kMicro, 0.915}};
// Of the A100's 235 GB/s: 130 on up to two nodes, 105 on more.
constexpr double kTreeLimit = 130.0 / 235, kTreeLimitOfMany = 105.0 / 235;

class Model {
 public:
  Model(const GroupShape& group, const NcclNetwork& net)
      : p_(group.ranks), nodes_(group.nodes), of_node_(p_ / nodes_), net_(net) {}

  double seconds(Collective what, double n) const {
    switch (what) {
      case Collective::all_reduce:
        return std::min(ring(2 * (p_ - 1), 2 * (nodes_ - 1), n), tree(n));
      case Collective::barrier:
        return seconds(Collective::all_reduce, sizeof(float));
      case Collective::reduce_scatter:
      case Collective::all_gather:
        return ring(p_ - 1, nodes_ - 1, n);
      case Collective::broadcast:
      case Collective::reduce:
        return ring(p_, nodes_ > 1 ? nodes_ : 0, n);
      default:
        return messages(n);
    }
  }

 private:
  double ports() const { return std::max(of_node_ * net_.ports_per_gpu, 1.0); }
  double bus() const {
    const double all_ports = net_.across * ports();
    if (nodes_ == 1) return net_.inside;
    return of_node_ > 1 ? std::min(net_.inside, all_ports) : all_ports;
  }

  double ring(double steps, double across, double n) const {
    return least(kRing, steps - across, across, n * steps / p_, bus());
  }

  double tree(double n) const {
    const double limit = nodes_ > 2 ? kTreeLimitOfMany : kTreeLimit;
    return least(kTree, 2 * (of_node_ - 1), 2 * std::floor(std::log2(nodes_)), 2 * n,
                 bus() * limit);
  }

  template <class Protocols>
  double least(const Protocols& protocols, double inside, double across, double bytes,
               double rate) const {
    double least = std::numeric_limits<double>::infinity();
    for (const Protocol& each : protocols) {
      const double step = each.inside * (nodes_ > 1 ? each.slower : 1);
      const double steps = each.base + inside * step + across * each.across;
      least = std::min(least, steps + bytes / (rate * each.share));
    }
    return least;
  }

  // A block to, or from, each other rank, all at once.
  double messages(double n) const {
    const Protocol& simple = kRing[2];
    const double inside = n * (of_node_ - 1) / p_ / net_.inside;
    const double across = n * (p_ - of_node_) / p_ / (net_.across * ports() / of_node_);
    return simple.base + (nodes_ > 1 ? simple.across : simple.inside) + std::max(inside, across);
  }

  double p_, nodes_, of_node_;
  const NcclNetwork& net_;
};

}  // namespace

double nccl_seconds(Collective what, double n, const GroupShape& group, const NcclNetwork& net) {
  return group.ranks == 1 ? 0 : Model(group, net).seconds(what, n);
}

}  // namespace lockstep
