// SPDX-License-Identifier: Apache-2.0
// A transport that moves nothing and notes everything. Algorithms never look at a value, so ranks
// can be recorded one after the other in one thread, on addresses where no memory is: area a of
// rank r begins at (r+1) << 40 | a << 34, so that every Elements tells whose it is.
//
// What other ranks stage and show in shared memory is not known while the first are recorded, so a
// group that does so is recorded twice: the second time with what the first one found.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "collectives/record.hpp"

namespace lockstep {

// What every rank showed or staged in a group, in order: displays[{group, rank}].
using Displays = std::map<std::pair<int, int>, std::vector<Elements>>;

// One rank's side of a recording; all transports of the rank write to it.
class Notes {
 public:
  Notes(Schedule& schedule, int rank, const Displays& known, Displays& shown)
      : schedule_(schedule), rank_(rank), known_(known), shown_(shown) {}

  int rank() const { return rank_; }
  const GroupCall& call() const { return schedule_.call; }
  Track& track() { return schedule_.ranks[static_cast<std::size_t>(rank_)]; }

  // New memory of this rank, of an address that stands for it.
  std::byte* area(Area::Kind kind, std::size_t bytes);
  static Region region(const Elements& elements);

  void add(TrackEvent::What what, int peer, std::span<const Elements> outs,
           std::span<const Elements> ins, Ticket ticket = 0, ReduceOp op = ReduceOp::sum);

  // The number of the group of these ranks, the same for all of them.
  int group(const std::vector<int>& ranks);
  void display(int group, const Elements& data);
  // What `rank` displayed last, when this rank has displayed as often.
  Elements displayed(int group, int rank) const;

 private:
  Schedule& schedule_;
  int rank_;
  const Displays& known_;
  Displays& shown_;
};

std::unique_ptr<Transport> make_recording_transport(Notes& notes);

}  // namespace lockstep
