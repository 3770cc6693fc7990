// SPDX-License-Identifier: Apache-2.0
// Barrier by dissemination: in step k every rank signals the one 2^k ahead, and so knows of twice
// as many ranks behind it that they have arrived.
//
//   steps  ceil(log2 p), one byte each
//   time   ceil(log2 p) * alpha
//   needs  any p >= 1
//
// D. Hensgen, R. Finkel, U. Manber, IJPP 17(1), 1988.
#include <bit>

#include "collectives/algorithms/table.hpp"

namespace lockstep {

double barrier_dissemination_seconds(int p, double, const Link& link) {
  return std::bit_width(static_cast<unsigned>(p) - 1) * link.alpha;
}

void barrier_dissemination(Transport& net) {
  const int p = net.size(), me = net.rank();
  const Elements signals = net.scratch(2, DType::uint8);

  for (int distance = 1; distance < p; distance *= 2) {
    net.exchange(signals.first(1), (me + distance) % p, signals.subspan(1, 1),
                 (me + p - distance) % p);
  }
}

}  // namespace lockstep
