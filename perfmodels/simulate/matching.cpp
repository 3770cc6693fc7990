// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/simulate/matching.hpp"

#include <algorithm>
#include <string>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

// One end of a message: who is at the other, and the place among what this rank posts.
struct End {
  int peer;
  std::uint32_t place;
};

struct Ends {
  std::vector<End> sends, receives;  // by peer, then place
};

Ends ends_of(const Track& track) {
  Ends ends;
  std::uint32_t place = 0;
  for (const TrackEvent& e : track.events) {
    if (e.what == TrackEvent::What::send) ends.sends.push_back({e.peer, place++});
    if (e.what == TrackEvent::What::receive) ends.receives.push_back({e.peer, place++});
  }
  const auto by_peer = [](const End& a, const End& b) { return a.peer < b.peer; };
  std::stable_sort(ends.sends.begin(), ends.sends.end(), by_peer);
  std::stable_sort(ends.receives.begin(), ends.receives.end(), by_peer);
  return ends;
}

std::span<const End> with_peer(const std::vector<End>& ends, int peer) {
  const auto below = [](const End& e, int p) { return e.peer < p; };
  const auto first = std::lower_bound(ends.begin(), ends.end(), peer, below);
  const auto last = std::lower_bound(first, ends.end(), peer + 1, below);
  return {first, last};
}

}  // namespace

Matching match(const Schedule& schedule) {
  Matching all;
  std::vector<Ends> ends;
  std::size_t num_sends = 0, num_receives = 0;
  for (const Track& track : schedule.ranks) {
    ends.push_back(ends_of(track));
    num_sends += ends.back().sends.size();
    num_receives += ends.back().receives.size();
    all.posted.emplace_back(ends.back().sends.size() + ends.back().receives.size());
  }
  for (std::size_t from = 0; from < ends.size(); ++from) {
    const auto& sends = ends[from].sends;
    for (std::size_t i = 0; i < sends.size();) {
      const auto to = static_cast<std::size_t>(sends[i].peer);
      const auto there = with_peer(ends[to].receives, static_cast<int>(from));
      const auto here = with_peer(sends, sends[i].peer);
      expect(here.size() == there.size(), "ranks do not agree on how many messages they exchange");
      for (std::size_t k = 0; k < here.size(); ++k) {
        all.posted[from][here[k].place] = all.posted[to][there[k].place] = all.messages++;
      }
      i += here.size();
    }
  }
  expect(num_sends == num_receives, "a receive that nobody sends to");
  return all;
}

}  // namespace lockstep
