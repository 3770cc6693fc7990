// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/local_steps.hpp"

namespace lockstep {

namespace {

double bytes_of(std::span<const Region> regions) {
  double bytes = 0;
  for (const Region& region : regions)
    bytes += static_cast<double>(region.bytes);
  return bytes;
}

class LocalSteps {
 public:
  LocalSteps(const Schedule& schedule, int rank, const Network& network)
      : schedule_(schedule), rank_(rank), net_(network) {}

  double seconds(const TrackEvent& e) const {
    const SharedCosts& cost = net_.shared;
    const double written = bytes_of(mine().outs(e));
    switch (e.what) {
      case TrackEvent::What::combine:
        return written * net_.gamma;
      case TrackEvent::What::combine_all:
        return reading(e, cost.reduce) + (e.num_outs > 1 ? written * cost.copy : 0);
      case TrackEvent::What::copy:
        return reading(e, cost.copy);
      case TrackEvent::What::fetch:
        if (schedule_.call.sharing == Sharing::addressable) return written * cost.copy;
        return cost.reach + written * cost.fetch;
      case TrackEvent::What::work:
        return static_cast<double>(e.ticket) * 1e-12;
      default:
        return 0;
    }
  }

 private:
  const Track& track(int rank) const { return schedule_.ranks[static_cast<std::size_t>(rank)]; }
  const Track& mine() const { return track(rank_); }

  // Staged bytes cost each who reads them `stage`; a rank's own are in what its staging cost.
  double reading(const TrackEvent& e, double per_byte) const {
    double seconds = 0;
    for (const Region& in : mine().ins(e)) {
      if (in.bytes == 0) continue;
      const auto bytes = static_cast<double>(in.bytes);
      const Area& area = track(in.rank).areas[static_cast<std::size_t>(in.area)];
      const bool staged = area.kind == Area::Kind::staging, own = in.rank == rank_;
      const bool local_copy = e.what == TrackEvent::What::copy && own;
      if (staged) {
        seconds += own ? 0 : bytes * net_.shared.stage;
      } else if (!local_copy || net_.copies == LocalCopies::priced) {
        seconds += bytes * per_byte;
      }
    }
    return seconds;
  }

  const Schedule& schedule_;
  int rank_;
  const Network& net_;
};

}  // namespace

double seconds_alone(const Schedule& schedule, int rank, const TrackEvent& event,
                     const Network& network) {
  return LocalSteps(schedule, rank, network).seconds(event);
}

}  // namespace lockstep
