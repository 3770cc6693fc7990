// SPDX-License-Identifier: Apache-2.0
#include "collectives/verify.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include "collectives/verify_order.hpp"
#include "collectives/verify_sums.hpp"
#include "collectives/verify_waits.hpp"

namespace lockstep {

namespace {

struct Refuted {
  std::string why;
};

template <class... Parts>
std::string text(const Parts&... parts) {
  std::string all;
  const auto add = [&all](const auto& part) {
    if constexpr (std::is_convertible_v<decltype(part), std::string>)
      all += part;
    else
      all += std::to_string(part);
  };
  (add(parts), ...);
  return all;
}

using Sum = Sums::Number;

std::size_t at(int rank) {
  return static_cast<std::size_t>(rank);
}

struct Element {
  std::uint32_t index = 0;  // in the full vector
  Sum sum = 0;
};

// A message that is posted and not completed.
struct Open {
  TrackEvent::What what;
  int peer;
  Ticket ticket;
  Region region;
  bool matched = false;
  Clock sent{};  // of the sender when it posted
};

struct RankState {
  std::size_t next = 0;  // event
  std::deque<Open> open{};
  std::vector<std::vector<Element>> memory{};   // by area
  std::vector<std::vector<Touches>> touches{};  // by area, of shared memory
  bool in_barrier = false;
};

class Proof {
 public:
  explicit Proof(const Schedule& schedule)
      : schedule_(schedule),
        call_(schedule.call),
        ranks_(call_.ranks()),
        unit_(call_.what == Collective::barrier ? 1 : size_of(call_.dtype)),
        sums_(ranks_),
        state_(at(ranks_)),
        order_(ranks_),
        arrived_(schedule.groups.size()),
        shares_(touches_others()),
        clocked_(shares_ || call_.what == Collective::barrier) {
    for (int r = 0; r < ranks_; ++r)
      set_up(r);
  }

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
  // Setting up.
  bool touches_others() const {
    for (int r = 0; r < ranks_; ++r) {
      for (const Region& region : track(r).regions) {
        if (region.rank != r && region.bytes > 0) return true;
      }
    }
    return false;
  }

  void set_up(int r) {
    RankState& mine = state_[at(r)];
    for (const Area& area : track(r).areas) {
      mine.memory.emplace_back(area.bytes / unit_);
      if (shares_) mine.touches.emplace_back(area.bytes / unit_);
    }
    const Region& in = track(r).in;
    const std::size_t first = call_.brings(r).begin;
    for (std::size_t i = 0; i < in.bytes / unit_; ++i) {
      element(in, i) = {static_cast<std::uint32_t>(first + i), static_cast<Sum>(r) + 1};
    }
  }

  const Track& track(int r) const { return schedule_.ranks[at(r)]; }
  bool ended(int r) const { return state_[at(r)].next == track(r).events.size(); }
  Element& element(const Region& region, std::size_t i) {
    return state_[at(region.rank)].memory[at(region.area)][region.begin / unit_ + i];
  }

  // Going on as far as one can.
  bool advance(int r) {
    RankState& mine = state_[at(r)];
    const std::size_t before = mine.next;
    while (!ended(r)) {
      now_ = r;
      const TrackEvent& event = track(r).events[mine.next];
      if (event.what == TrackEvent::What::complete) {
        if (!completed(r, event.ticket)) break;
      } else if (is_barrier(event.what)) {
        if (!passed(r, event)) break;
      } else {
        act(r, event);
      }
      ++mine.next;
    }
    return mine.next != before;
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
        return copy(outs[0], ins[0]);
      case TrackEvent::What::work:
        return;
      default:
        return combine(
            outs, ins,
            event.what == TrackEvent::What::combine ? Sums::Way::pairwise : Sums::Way::in_turn);
    }
  }

  // Messages.
  void post(int r, const TrackEvent& event, const Region& region, Access access) {
    if (event.peer < 0 || event.peer >= ranks_ || event.peer == r) {
      throw refuted("has no rank ", event.peer, " to reach");
    }
    touch(region, access);
    RankState& mine = state_[at(r)];
    mine.open.push_back({event.what, event.peer, event.ticket, region});
    if (clocked_ && event.what == TrackEvent::What::send) mine.open.back().sent = order_.send(r);
    match(r, mine.open.back());
  }

  // The first message of the peer that this one can be the other end of.
  void match(int r, Open& message) {
    for (Open& other : state_[at(message.peer)].open) {
      if (other.matched || other.peer != r || other.what == message.what) continue;
      other.matched = message.matched = true;
      const bool sends = message.what == TrackEvent::What::send;
      return deliver(sends ? message : other, sends ? other : message);
    }
  }

  void deliver(const Open& send, Open& receive) {
    if (send.region.bytes != receive.region.bytes) {
      throw refuted(send.region.bytes, " bytes of rank ", send.region.rank, " meet a receive of ",
                    receive.region.bytes, " by rank ", receive.region.rank);
    }
    for (std::size_t i = 0; i < send.region.bytes / unit_; ++i)
      element(receive.region, i) = element(send.region, i);
    receive.sent = send.sent;
  }

  bool completed(int r, Ticket up_to) {
    RankState& mine = state_[at(r)];
    for (const Open& message : mine.open) {
      if (message.ticket <= up_to && !message.matched) return false;
    }
    while (!mine.open.empty() && mine.open.front().ticket <= up_to) {
      const Open message = std::move(mine.open.front());
      mine.open.pop_front();
      const bool sent = message.what == TrackEvent::What::send;
      if (clocked_ && !sent) order_.receive(r, message.sent);
      touch(message.region, sent ? Access::read : Access::write);
    }
    return true;
  }

  // Barriers. The last to come lets all go.
  bool passed(int r, const TrackEvent& event) {
    RankState& mine = state_[at(r)];
    std::vector<int>& arrived = arrived_[at(event.peer)];
    if (mine.in_barrier) {
      if (std::find(arrived.begin(), arrived.end(), r) != arrived.end()) return false;
      mine.in_barrier = false;
      return true;
    }
    for (const Region& in : track(r).ins(event))
      touch(in, Access::read);
    if (event.what == TrackEvent::What::stage)
      copy(track(r).outs(event)[0], track(r).ins(event)[0]);
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

  void expect_alike(const TrackEvent& event, int first) {
    const TrackEvent& theirs = track(first).events[state_[at(first)].next];
    if (theirs.what == event.what) return;
    throw refuted("is where rank ", first, " has a ", name_of(theirs.what));
  }

  // Local steps.
  void copy(const Region& out, const Region& in) {
    expect_as_long(out, in);
    touch(in, Access::read);
    touch(out, Access::write);
    for (std::size_t i = 0; i < in.bytes / unit_; ++i)
      element(out, i) = element(in, i);
  }

  void combine(std::span<const Region> outs, std::span<const Region> ins, Sums::Way way) {
    for (const Region& in : ins) {
      expect_as_long(in, ins[0]);
      touch(in, Access::read);
    }
    for (const Region& out : outs) {
      expect_as_long(out, ins[0]);
      touch(out, Access::write);
    }
    for (std::size_t i = 0; i < ins[0].bytes / unit_; ++i) {
      Element sum = element(ins[0], i);
      expect_something(sum, ins[0], i);
      for (const Region& in : ins.subspan(1))
        sum = added(sum, in, i, way);
      for (const Region& out : outs)
        element(out, i) = sum;
    }
  }

  Element added(const Element& sum, const Region& region, std::size_t i, Sums::Way way) {
    const Element& more = element(region, i);
    expect_something(more, region, i);
    if (more.index != sum.index) {
      throw refuted("adds element ", more.index, " at ", name(region, i), " to element ",
                    sum.index);
    }
    if (const int twice = sums_.common(sum.sum, more.sum); twice >= 0) {
      throw refuted("counts rank ", twice, " twice in element ", sum.index, " at ",
                    name(region, i));
    }
    return {sum.index, sums_.add(sum.sum, more.sum, way)};
  }

  void expect_as_long(const Region& region, const Region& other) {
    if (region.bytes == other.bytes) return;
    throw refuted("takes ", region.bytes, " bytes at ", name(region, 0), " with ", other.bytes,
                  " at ", name(other, 0));
  }

  void expect_something(const Element& value, const Region& region, std::size_t i) {
    if (value.sum == 0) throw refuted("adds what nobody has written: ", name(region, i));
  }

  // Memory: inside its area, apart from what is under way, and in shared memory no race.
  void touch(const Region& region, Access access) {
    if (region.bytes == 0) return;
    const auto& areas = track(region.rank).areas;
    if (at(region.area) >= areas.size() ||
        region.begin + region.bytes > areas[at(region.area)].bytes) {
      throw refuted("goes beyond the end of ", name(region, 0));
    }
    for (const Open& open : state_[at(region.rank)].open)
      expect_apart(open, region, access);
    if (shares_) {
      for (std::size_t i = 0; i < region.bytes / unit_; ++i)
        expect_ordered(region, i, access);
    }
  }

  void expect_apart(const Open& open, const Region& region, Access access) {
    const bool receives = open.what == TrackEvent::What::receive;
    if (open.region.area != region.area || (!receives && access == Access::read) ||
        open.region.begin >= region.begin + region.bytes ||
        region.begin >= open.region.begin + open.region.bytes) {
      return;
    }
    const std::size_t first = std::max(region.begin, open.region.begin);
    const Region touched{region.rank, region.area, first, 0};
    throw refuted(verb(access), name(touched, 0), " while it is ",
                  receives ? "received from rank " : "sent to rank ", open.peer);
  }

  void expect_ordered(const Region& region, std::size_t i, Access access) {
    Touches& touches = state_[at(region.rank)].touches[at(region.area)][region.begin / unit_ + i];
    const Order::Race race = order_.touch(touches, now_, access);
    if (race.other < 0) return;
    throw refuted(verb(access), name(region, i), " with no barrier behind rank ", race.other,
                  ", which ", verb(race.access), "it");
  }

  static const char* verb(Access access) { return access == Access::read ? "reads " : "changes "; }

  // What must hold in the end.
  void check_end(int r) {
    if (!state_[at(r)].open.empty()) {
      const Open& open = state_[at(r)].open.front();
      throw Refuted{text("rank ", r, " ends before its message ",
                         open.what == TrackEvent::What::send ? "to" : "from", " rank ", open.peer,
                         " is complete")};
    }
    if (call_.what == Collective::barrier) return check_barrier(r);
    check_result(r);
    const Region& in = track(r).in;
    if (in.bytes == 0 || track(r).areas[at(in.area)].kind != Area::Kind::in) return;
    for (std::size_t i = 0; i < in.bytes / unit_; ++i) {
      const Element& value = element(in, i);
      if (value.index != call_.brings(r).begin + i || value.sum != static_cast<Sum>(r) + 1) {
        throw Refuted{text("rank ", r, " changes its input at ", name(in, i))};
      }
    }
  }

  void check_barrier(int r) {
    for (int other = 0; other < ranks_; ++other) {
      if (!order_.knows_of(r, other)) {
        throw Refuted{text("rank ", r, " may leave before rank ", other, " has come")};
      }
    }
  }

  void check_result(int r) {
    const Block gets = call_.gets(r);
    for (std::size_t i = 0; i < gets.count; ++i) {
      const Element& value = element(track(r).out, i);
      const auto wrong = [&](const auto&... what) {
        throw Refuted{text("rank ", r, " ends with ", name(track(r).out, i), " holding ", what...)};
      };
      const auto [index, source] = call_.origin(r, gets.begin + i);
      if (value.sum == 0) wrong("nothing");
      if (value.index != index) wrong("element ", value.index, " in place of ", index);
      if (source >= 0 && value.sum != static_cast<Sum>(source) + 1) {
        wrong("not what rank ", source, " brought");
      }
      if (source >= 0) continue;
      const int lost = sums_.lacks(value.sum, ranks_);
      if (lost < ranks_) wrong("no contribution of rank ", lost);
      if (call_.what == Collective::all_reduce && value.sum != element(track(0).out, i).sum) {
        wrong("a sum in another order than rank 0's");
      }
    }
  }

  // Words.
  template <class... Parts>
  Refuted refuted(const Parts&... parts) const {
    const std::size_t event = state_[at(now_)].next;
    return {text("rank ", now_, ", event ", event, " (", name_of(track(now_).events[event].what),
                 ") ", parts...)};
  }

  std::string name(const Region& region, std::size_t i) const {
    const auto& areas = track(region.rank).areas;
    const std::string area =
        at(region.area) < areas.size() ? name_of(areas[at(region.area)].kind) : "memory";
    return text(area, "[", region.begin / unit_ + i, "] of rank ", region.rank);
  }

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
    const TrackEvent& event = track(r).events[state_[at(r)].next];
    if (!is_barrier(event.what)) return awaited_message(r)->peer;
    const std::vector<int>& arrived = arrived_[at(event.peer)];
    for (const int member : schedule_.groups[at(event.peer)]) {
      if (std::find(arrived.begin(), arrived.end(), member) == arrived.end()) return member;
    }
    return -1;
  }

  const Open* awaited_message(int r) const {
    const auto& open = state_[at(r)].open;
    return &*std::find_if(open.begin(), open.end(), [](const Open& m) { return !m.matched; });
  }

  std::string waiting(int r) const {
    const TrackEvent& event = track(r).events[state_[at(r)].next];
    if (is_barrier(event.what)) {
      return text("rank ", r, " waits in a ", name_of(event.what), " for rank ", awaited(r));
    }
    const bool sends = awaited_message(r)->what == TrackEvent::What::send;
    return text("rank ", r, " waits to ", sends ? "send to" : "receive from", " rank ", awaited(r));
  }

  const Schedule& schedule_;
  const GroupCall& call_;
  int ranks_;
  std::size_t unit_;  // bytes of an element
  Sums sums_;
  std::vector<RankState> state_;
  Order order_;
  std::vector<std::vector<int>> arrived_;  // by group: who is in its barrier
  bool shares_;                            // ranks touch each other's memory
  bool clocked_;
  int now_ = 0;  // the rank that acts
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
