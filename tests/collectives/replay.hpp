// SPDX-License-Identifier: Apache-2.0
// The plainest price of a recorded schedule: a message takes alpha + bytes*beta from when both ends
// are posted, a rank sends one and receives one at a time, reductions cost gamma per byte, copies
// nothing. What the formulas of the algorithms assume.
#pragma once

#include <algorithm>
#include <vector>

#include "collectives/record.hpp"

namespace lockstep::test {

class Replay {
 public:
  Replay(const Schedule& schedule, const Links& links)
      : schedule_(schedule), links_(links), ranks_(schedule.ranks.size()) {}

  // When the last rank is done. Whoever is earliest acts, so that messages queue in order of time.
  double seconds() {
    while (Rank* rank = earliest())
      act(*rank);
    double last = 0;
    for (const Rank& rank : ranks_)
      last = std::max(last, rank.time);
    return last;
  }

 private:
  struct Message {
    Event event;
    std::size_t bytes;
    double posted, end = -1;  // -1: not matched
  };
  struct Rank {
    double time = 0, send_free = 0, receive_free = 0;
    std::size_t next = 0;
    std::vector<Message> open{};
  };

  int number(const Rank& rank) const { return static_cast<int>(&rank - ranks_.data()); }
  const Track& track(const Rank& rank) const {
    return schedule_.ranks[static_cast<std::size_t>(number(rank))];
  }
  const Event& event(const Rank& rank) const { return track(rank).events[rank.next]; }

  bool blocked(const Rank& rank) const {
    if (rank.next == track(rank).events.size()) return true;
    if (event(rank).what != Event::What::complete) return false;
    return std::any_of(rank.open.begin(), rank.open.end(), [&](const Message& m) {
      return m.event.ticket <= event(rank).ticket && m.end < 0;
    });
  }

  Rank* earliest() {
    Rank* first = nullptr;
    for (Rank& rank : ranks_) {
      if (!blocked(rank) && (!first || rank.time < first->time)) first = &rank;
    }
    return first;
  }

  void act(Rank& rank) {
    const Event& e = event(rank);
    switch (e.what) {
      case Event::What::send:
        post(rank, track(rank).ins(e)[0].bytes);
        break;
      case Event::What::receive:
        post(rank, track(rank).outs(e)[0].bytes);
        break;
      case Event::What::complete:
        complete(rank, e.ticket);
        break;
      case Event::What::combine:
        rank.time += static_cast<double>(track(rank).outs(e)[0].bytes) * links_.inside.gamma;
        break;
      default:
        break;
    }
    ++rank.next;
  }

  void post(Rank& rank, std::size_t bytes) {
    rank.open.push_back({event(rank), bytes, rank.time});
    Message& message = rank.open.back();
    Rank& peer = ranks_[static_cast<std::size_t>(message.event.peer)];
    for (Message& other : peer.open) {
      if (other.end >= 0 || other.event.peer != number(rank) ||
          other.event.what == message.event.what) {
        continue;
      }
      const bool sends = message.event.what == Event::What::send;
      Rank &from = sends ? rank : peer, &to = sends ? peer : rank;
      const GroupCall& call = schedule_.call;
      const Link& link =
          call.node_of(number(from)) == call.node_of(number(to)) ? links_.inside : links_.across;
      const double start =
          std::max({message.posted, other.posted, from.send_free, to.receive_free});
      message.end = other.end = start + link.alpha + static_cast<double>(bytes) * link.beta;
      from.send_free = to.receive_free = message.end;
      return;
    }
  }

  void complete(Rank& rank, Ticket up_to) {
    std::erase_if(rank.open, [&](const Message& m) {
      if (m.event.ticket > up_to) return false;
      rank.time = std::max(rank.time, m.end);
      return true;
    });
  }

  const Schedule& schedule_;
  const Links& links_;
  std::vector<Rank> ranks_;
};

}  // namespace lockstep::test
