// SPDX-License-Identifier: Apache-2.0
// Barrier by dissemination: in step k every rank signals the one 2^k ahead, and so knows of twice
// as many ranks behind it that they have arrived.
//
//   steps  ceil(log2 p), one byte each
//   time   ceil(log2 p) * alpha
//   needs  any p >= 1
//
// D. Hensgen, R. Finkel, U. Manber, IJPP 17(1), 1988.
#include "collectives/algorithms/patterns.hpp"
#include "collectives/algorithms/table.hpp"

namespace lockstep {

namespace {

double seconds(const GroupShape& group, double, const Links& links) {
  const int p = group.ranks;
  return ceil_log2(p) * links.of(group).alpha;
}

void run(Transport& net, const Call&) {
  const int p = net.size(), me = net.rank();
  const Elements signals = net.scratch(2, DType::uint8);

  for (int distance = 1; distance < p; distance *= 2) {
    net.exchange(signals.first(1), (me + distance) % p, signals.subspan(1, 1),
                 (me + p - distance) % p);
  }
}

}  // namespace

extern const Algorithm barrier_dissemination{Collective::barrier, "native/dissemination", run,
                                             seconds};

}  // namespace lockstep
