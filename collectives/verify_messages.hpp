// SPDX-License-Identifier: Apache-2.0
// The messages of all ranks that are posted and not completed. A send meets the first receive of
// its peer that is there for its rank, and the other way round.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "collectives/record.hpp"
#include "collectives/verify_order.hpp"

namespace lockstep {

// What is against the rules is thrown as Refuted.
class Messages {
 public:
  struct Open {
    TrackEvent::What what;
    int peer;
    std::uint64_t ticket;
    Region region;
    Clock sent{};  // of the sender when it posted
    bool matched = false;

    bool sends() const { return what == TrackEvent::What::send; }
  };
  struct Pair {
    const Open& send;
    const Open& receive;
  };

  explicit Messages(const Schedule& schedule) : schedule_(schedule), open_(schedule.ranks.size()) {}

  // The pair that it makes with one that waits for it.
  std::optional<Pair> post(int rank, Open message);

  // All messages of the rank up to the ticket have met theirs.
  bool matched(int rank, std::uint64_t up_to) const;
  // The oldest of them ends, if there is one.
  std::optional<Open> end_one(int rank, std::uint64_t up_to);

  const Open* oldest(int rank) const;   // null: none is open
  const Open& awaited(int rank) const;  // the oldest that has not met its other end

  // Nobody touches what is being received, or changes what is being sent.
  void expect_apart(const Region& region, Access access) const;

 private:
  void expect_apart(const Open& open, const Region& region, Access access) const;

  const Schedule& schedule_;
  std::vector<std::deque<Open>> open_;  // by rank
};

}  // namespace lockstep
