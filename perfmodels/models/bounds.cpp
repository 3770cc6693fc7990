// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/models/bounds.hpp"

#include <algorithm>

#include "collectives/algorithms/patterns.hpp"

namespace lockstep {

double Bound::seconds() const {
  return std::max({latency, bandwidth, computing});
}

Bound lower_bound(Collective what, int p, double n, const Link& link) {
  if (p == 1) return {};
  const double others = n * (p - 1) / p;  // of the bytes: all but a rank's own share
  const double moved = others * link.beta, reduced = others * link.gamma;
  const double latency = ceil_log2(p) * link.alpha;
  switch (what) {
    case Collective::all_reduce:
      return {latency, 2 * moved, reduced};
    case Collective::reduce_scatter:
      return {latency, moved, reduced};
    case Collective::broadcast:
      return {latency, n * link.beta, 0};
    case Collective::reduce:
      return {latency, n * link.beta, reduced};
    case Collective::barrier:
      return {latency, 0, 0};
    case Collective::send:
    case Collective::receive:
      return {link.alpha, n * link.beta, 0};
    default:
      return {latency, moved, 0};
  }
}

}  // namespace lockstep
