// SPDX-License-Identifier: Apache-2.0
#include "collectives/verify.hpp"

#include <algorithm>
#include <utility>

#include "collectives/verify_memory.hpp"
#include "collectives/verify_messages.hpp"
#include "collectives/verify_order.hpp"
#include "collectives/verify_waits.hpp"
#include "collectives/verify_words.hpp"

namespace lockstep {

namespace {

std::size_t at(int rank) {
  return static_cast<std::size_t>(rank);
}

struct RankState {
  std::size_t next = 0;  // event
  bool in_barrier = false;
};

class Proof {
 public:
  explicit Proof(const Schedule& schedule)
      : schedule_(schedule),
        call_(schedule.call),
        ranks_(call_.ranks()),
        state_(at(ranks_)),
        memory_(schedule),
        messages_(schedule),
        order_(ranks_),
        arrived_(schedule.groups.size()),
        clocked_(memory_.shared() || call_.what == Collective::barrier) {}

  void run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (int r = 0; r < ranks_; ++r)
        moved = advance(r) || moved;
    }
    for (int r = 0; r < ranks_; ++r) {
      if (!ended(r)) throw Refuted{"deadlock: " + deadlock_from(r)};
    }
    for (int r = 0; r < ranks_; ++r)
      check_end(r);
  }

 private:
  const Track& track(int r) const { return schedule_.ranks[at(r)]; }
  const TrackEvent& event_of(int r) const { return track(r).events[state_[at(r)].next]; }
  bool ended(int r) const { return state_[at(r)].next == track(r).events.size(); }
  std::string name(const Region& region, std::size_t i) const {
    return name_of(schedule_, region, i);
  }

  // Going on as far as one can.
  bool advance(int r) {
    RankState& mine = state_[at(r)];
    const std::size_t before = mine.next;
    try {
      while (!ended(r) && passed(r, event_of(r)))
        ++mine.next;
    } catch (const Refuted& error) {
      throw refuted("rank ", r, ", event ", mine.next, " (", name_of(event_of(r).what), ") ",
                    error.why);
    }
    return mine.next != before;
  }

  // False: it has to wait.
  bool passed(int r, const TrackEvent& event) {
    if (event.what == TrackEvent::What::complete) return completed(r, event.ticket);
    if (is_barrier(event.what)) return met(r, event);
    act(r, event);
    return true;
  }

  static bool is_barrier(TrackEvent::What what) {
    return what == TrackEvent::What::barrier || what == TrackEvent::What::stage ||
           what == TrackEvent::What::show;
  }

  void act(int r, const TrackEvent& event) {
    const auto outs = track(r).outs(event), ins = track(r).ins(event);
    switch (event.what) {
      case TrackEvent::What::send:
        return post(r, event, ins[0], Access::read);
      case TrackEvent::What::receive:
        return post(r, event, outs[0], Access::write);
      case TrackEvent::What::copy:
      case TrackEvent::What::fetch:
        return copy(r, outs[0], ins[0]);
      case TrackEvent::What::work:
        return;
      default:
        return combine(
            r, outs, ins,
            event.what == TrackEvent::What::combine ? Sums::Way::pairwise : Sums::Way::in_turn);
    }
  }

  // Messages.
  void post(int r, const TrackEvent& event, const Region& region, Access access) {
    if (event.peer < 0 || event.peer >= ranks_ || event.peer == r) {
      throw refuted("has no rank ", event.peer, " to reach");
    }
    touch(r, region, access);
    Messages::Open message{event.what, event.peer, event.ticket, region};
    if (clocked_ && message.sends()) message.sent = order_.send(r);
    const auto pair = messages_.post(r, std::move(message));
    if (pair) memory_.copy(pair->receive.region, pair->send.region);
  }

  bool completed(int r, std::uint64_t up_to) {
    if (!messages_.matched(r, up_to)) return false;
    while (const auto message = messages_.end_one(r, up_to)) {
      if (clocked_ && !message->sends()) order_.receive(r, message->sent);
      touch(r, message->region, message->sends() ? Access::read : Access::write);
    }
    return true;
  }

  // Barriers. The last to come lets all go.
  bool met(int r, const TrackEvent& event) {
    RankState& mine = state_[at(r)];
    std::vector<int>& arrived = arrived_[at(event.peer)];
    if (mine.in_barrier) {
      if (std::find(arrived.begin(), arrived.end(), r) != arrived.end()) return false;
      mine.in_barrier = false;
      return true;
    }
    for (const Region& in : track(r).ins(event))
      touch(r, in, Access::read);
    if (event.what == TrackEvent::What::stage)
      copy(r, track(r).outs(event)[0], track(r).ins(event)[0]);
    if (!arrived.empty()) expect_alike(event, arrived.front());
    arrived.push_back(r);
    mine.in_barrier = true;
    if (arrived.size() == schedule_.groups[at(event.peer)].size()) {
      if (clocked_) order_.meet(arrived);
      arrived.clear();
      mine.in_barrier = false;
    }
    return !mine.in_barrier;
  }

  void expect_alike(const TrackEvent& event, int first) const {
    const TrackEvent& theirs = event_of(first);
    if (theirs.what == event.what) return;
    throw refuted("is where rank ", first, " has a ", name_of(theirs.what));
  }

  // Local steps.
  void copy(int r, const Region& out, const Region& in) {
    expect_as_long(out, in);
    touch(r, in, Access::read);
    touch(r, out, Access::write);
    memory_.copy(out, in);
  }

  void combine(int r, std::span<const Region> outs, std::span<const Region> ins, Sums::Way way) {
    for (const Region& in : ins) {
      expect_as_long(in, ins[0]);
      touch(r, in, Access::read);
    }
    for (const Region& out : outs) {
      expect_as_long(out, ins[0]);
      touch(r, out, Access::write);
    }
    memory_.combine(outs, ins, way);
  }

  void expect_as_long(const Region& region, const Region& other) const {
    if (region.bytes == other.bytes) return;
    throw refuted("takes ", region.bytes, " bytes at ", name(region, 0), " with ", other.bytes,
                  " at ", name(other, 0));
  }

  // Inside its area, apart from what is under way, and in shared memory no race.
  void touch(int r, const Region& region, Access access) {
    if (region.bytes == 0) return;
    memory_.expect_inside(region);
    messages_.expect_apart(region, access);
    memory_.expect_ordered(region, r, access, order_);
  }

  // What must hold in the end.
  void check_end(int r) {
    if (const Messages::Open* open = messages_.oldest(r)) {
      throw refuted("rank ", r, " ends before its message ", open->sends() ? "to" : "from",
                    " rank ", open->peer, " is complete");
    }
    if (call_.what == Collective::barrier) return check_barrier(r);
    check_result(r);
    check_input(r);
  }

  void check_barrier(int r) const {
    for (int other = 0; other < ranks_; ++other) {
      if (!order_.knows_of(r, other))
        throw refuted("rank ", r, " may leave before rank ", other, " has come");
    }
  }

  void check_result(int r) {
    const Block gets = call_.gets(r);
    for (std::size_t i = 0; i < gets.count; ++i) {
      const SymbolMemory::Element& value = memory_.elements(track(r).out)[i];
      const auto wrong = [&](const auto&... what) {
        throw refuted("rank ", r, " ends with ", name(track(r).out, i), " holding ", what...);
      };
      const auto [index, source] = call_.origin(r, gets.begin + i);
      if (value.sum == 0) wrong("nothing");
      if (value.index != index) wrong("element ", value.index, " in place of ", index);
      if (source >= 0 && value.sum != static_cast<Sums::Number>(source) + 1) {
        wrong("not what rank ", source, " brought");
      }
      if (source >= 0) continue;
      const int lost = memory_.sums().lacks(value.sum, ranks_);
      if (lost < ranks_) wrong("no contribution of rank ", lost);
      if (call_.what == Collective::all_reduce &&
          value.sum != memory_.elements(track(0).out)[i].sum) {
        wrong("a sum in another order than rank 0's");
      }
    }
  }

  void check_input(int r) {
    const Region& in = track(r).in;
    if (in.bytes == 0 || track(r).areas[at(in.area)].kind != Area::Kind::in) return;
    for (std::size_t i = 0; i < in.bytes / bytes_of_element(call_); ++i) {
      const SymbolMemory::Element& value = memory_.elements(in)[i];
      if (value.index != call_.brings(r).begin + i ||
          value.sum != static_cast<Sums::Number>(r) + 1) {
        throw refuted("rank ", r, " changes its input at ", name(in, i));
      }
    }
  }

  // Why nobody goes on.
  std::string deadlock_from(int r) const {
    const std::vector<int> waits = chain_of_waits(r, [this](int rank) { return awaited(rank); });
    std::string all;
    for (const int rank : waits)
      all += (all.empty() ? "" : ", ") +
             (ended(rank) ? text("rank ", rank, " has ended") : waiting(rank));
    return all;
  }

  // Whom a rank waits for; -1 if it does not wait.
  int awaited(int r) const {
    if (ended(r)) return -1;
    const TrackEvent& event = event_of(r);
    if (!is_barrier(event.what)) return messages_.awaited(r).peer;
    const std::vector<int>& arrived = arrived_[at(event.peer)];
    for (const int member : schedule_.groups[at(event.peer)]) {
      if (std::find(arrived.begin(), arrived.end(), member) == arrived.end()) return member;
    }
    return -1;
  }

  std::string waiting(int r) const {
    const TrackEvent& event = event_of(r);
    if (is_barrier(event.what)) {
      return text("rank ", r, " waits in a ", name_of(event.what), " for rank ", awaited(r));
    }
    const Messages::Open& message = messages_.awaited(r);
    return text("rank ", r, " waits to ", message.sends() ? "send to" : "receive from", " rank ",
                message.peer);
  }

  const Schedule& schedule_;
  const GroupCall& call_;
  int ranks_;
  std::vector<RankState> state_;
  SymbolMemory memory_;
  Messages messages_;
  Order order_;
  std::vector<std::vector<int>> arrived_;  // by group: who is in its barrier
  bool clocked_;                           // clocks are needed
};

}  // namespace

std::string verify(const Schedule& schedule) {
  try {
    Proof(schedule).run();
    return "";
  } catch (const Refuted& error) {
    return error.why;
  }
}

}  // namespace lockstep
