// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/replay.hpp"

#include <algorithm>
#include <vector>

#include "perfmodels/simulate/local_steps.hpp"
#include "perfmodels/simulate/matching.hpp"
#include "perfmodels/simulate/wires.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

struct Rank {
  double time = 0;
  std::size_t next = 0;                   // event
  std::size_t posted = 0, completed = 0;  // of its messages
  std::vector<Ticket> tickets{};          // of what is posted
  std::uint32_t blocked_on = Message::kNone;
};

// The ranks that meet at a barrier.
struct Meeting {
  std::size_t come = 0;
  double last = 0;
};

class Simulation {
 public:
  Simulation(const Schedule& schedule, const Network& network)
      : schedule_(schedule),
        net_(network),
        matching_(match(schedule)),
        wires_(schedule, network, matching_.messages),
        ranks_(schedule.ranks.size()),
        meetings_(schedule.groups.size()) {}

  Replayed run() {
    for (std::size_t r = ranks_.size(); r > 0; --r)
      runnable_.push_back(static_cast<int>(r - 1));
    do {
      wires_.take_ended(ended_);
      for (const auto& [r, message] : ended_)
        if (rank(r).blocked_on == message) runnable_.push_back(r);
      advance_all();
    } while (wires_.advance());
    Replayed result{.messages = matching_.messages, .waiting = wires_.waiting()};
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      expect(ranks_[r].next == schedule_.ranks[r].events.size(), "all ranks wait for each other");
      result.seconds = std::max(result.seconds, ranks_[r].time);
    }
    return result;
  }

 private:
  // ---- Ranks: each goes on by itself until it must wait for a message or a barrier. ----

  Rank& rank(int r) { return ranks_[static_cast<std::size_t>(r)]; }
  const Track& track(int r) const { return schedule_.ranks[static_cast<std::size_t>(r)]; }

  void advance_all() {
    while (!runnable_.empty()) {
      const int r = runnable_.back();
      runnable_.pop_back();
      advance(r);
    }
  }

  void advance(int r) {
    const Track& mine = track(r);
    while (rank(r).next < mine.events.size() && act(r, mine, mine.events[rank(r).next]))
      ++rank(r).next;
  }

  // False: not yet, and who ends the waiting knows of it.
  bool act(int r, const Track& mine, const TrackEvent& e) {
    switch (e.what) {
      case TrackEvent::What::send:
        send(r, e, static_cast<double>(mine.ins(e)[0].bytes));
        return true;
      case TrackEvent::What::receive:
        receive(r, e);
        return true;
      case TrackEvent::What::complete:
        return complete(r, e.ticket);
      case TrackEvent::What::barrier:
      case TrackEvent::What::stage:
      case TrackEvent::What::show:
        return meet(r, mine, e);
      default:
        rank(r).time += seconds_alone(schedule_, r, e, net_);
        return true;
    }
  }

  // ---- Barriers in shared memory. ----

  bool meet(int r, const Track& mine, const TrackEvent& e) {
    if (e.what == TrackEvent::What::stage) {
      rank(r).time += static_cast<double>(mine.ins(e)[0].bytes) * net_.shared.stage;
    }
    Meeting& meeting = meetings_[static_cast<std::size_t>(e.peer)];
    const std::vector<int>& group = schedule_.groups[static_cast<std::size_t>(e.peer)];
    meeting.last = std::max(meeting.last, rank(r).time);
    if (++meeting.come < group.size()) return false;
    const double sync = net_.crowded ? net_.shared.crowded_sync : net_.shared.sync;
    const auto p = static_cast<double>(group.size());
    const double end = meeting.last + (group.size() > 1 ? p * sync : 0);
    meeting = {};
    for (const int member : group) {
      rank(member).time = end;
      if (member == r) continue;
      ++rank(member).next;
      runnable_.push_back(member);
    }
    return true;
  }

  // ---- Both ends of a message. ----

  std::uint32_t post(int r, const TrackEvent& e) {
    Rank& me = rank(r);
    me.tickets.push_back(e.ticket);
    return matching_.posted[static_cast<std::size_t>(r)][me.posted++];
  }

  void send(int r, const TrackEvent& e, double bytes) {
    const std::uint32_t number = post(r, e);
    Message& m = wires_[number];
    m.from = r;
    m.to = e.peer;
    m.bytes = bytes;
    rank(r).time += wires_.cost_of(m).send;
    m.sent_at = rank(r).time;
    if (!wires_.waits(m)) {
      m.gone = m.sent_at;
      wires_.ask(number, m.sent_at);
    } else if (m.received_at != Message::kNotYet) {
      ask_both(number);
    }
  }

  void receive(int r, const TrackEvent& e) {
    const std::uint32_t number = post(r, e);
    Message& m = wires_[number];
    m.received_at = rank(r).time;
    if (m.sent_at != Message::kNotYet && wires_.waits(m)) ask_both(number);
  }

  void ask_both(std::uint32_t number) {
    const Message& m = wires_[number];
    const bool priced = net_.handshakes == Handshakes::priced;
    const double handshake = priced ? wires_.cost_of(m).handshake : 0;
    wires_.ask(number, std::max(m.sent_at, m.received_at) + handshake);
  }

  bool complete(int r, Ticket up_to) {
    Rank& me = rank(r);
    const auto& mine = matching_.posted[static_cast<std::size_t>(r)];
    for (; me.completed < me.posted && me.tickets[me.completed] <= up_to; ++me.completed) {
      const Message& m = wires_[mine[me.completed]];
      // Which end of it is this rank's: no rank sends to itself.
      const bool sends = m.sent_at != Message::kNotYet && m.from == r;
      const double end = sends ? m.gone : m.there;
      if (end == Message::kNotYet) {
        me.blocked_on = mine[me.completed];
        return false;
      }
      me.time = std::max(me.time, end);
      if (!sends) me.time += wires_.cost_of(m).receive;
    }
    me.blocked_on = Message::kNone;
    return true;
  }

  const Schedule& schedule_;
  const Network& net_;
  Matching matching_;
  Wires wires_;
  std::vector<Rank> ranks_;
  std::vector<Meeting> meetings_;
  std::vector<int> runnable_;
  std::vector<Wires::Ended> ended_;
};

}  // namespace

Replayed replay(const Schedule& schedule, const Network& network) {
  return Simulation(schedule, network).run();
}

}  // namespace lockstep
