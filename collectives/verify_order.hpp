// SPDX-License-Identifier: Apache-2.0
// What every rank knows of the others: vector clocks, carried by messages and barriers. Whatever
// two ranks do to one element must be in order by them, or it is a race.
//
// L. Lamport, CACM 21(7), 1978; C. Flanagan, S. Freund, FastTrack, PLDI 2009.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace lockstep {

using Clock = std::vector<std::uint32_t>;  // of all ranks
enum class Access : std::uint8_t { read, write };

// Who touched an element, by the touching rank's own clock.
struct Touches {
  int writer = -1;
  std::uint32_t written = 0;
  std::vector<std::pair<int, std::uint32_t>> reads{};
};

class Order {
 public:
  explicit Order(int ranks) : clocks_(index(ranks), Clock(index(ranks))) {
    for (int r = 0; r < ranks; ++r)
      clocks_[index(r)][index(r)] = 1;
  }

  // A message takes along what its sender knows.
  Clock send(int rank) {
    Clock sent = clocks_[index(rank)];
    ++clocks_[index(rank)][index(rank)];
    return sent;
  }
  void receive(int rank, const Clock& sent) { learn(clocks_[index(rank)], sent); }

  void meet(const std::vector<int>& ranks) {
    Clock all(clocks_.size());
    for (const int r : ranks)
      learn(all, clocks_[index(r)]);
    for (const int r : ranks) {
      clocks_[index(r)] = all;
      ++clocks_[index(r)][index(r)];
    }
  }

  bool knows_of(int rank, int other) const { return clocks_[index(rank)][index(other)] > 0; }

  // Notes the access. If it is not ordered behind another: by whom that was, and what.
  struct Race {
    int other = -1;
    Access access = Access::read;
  };
  Race touch(Touches& touches, int rank, Access access) const {
    const Clock& known = clocks_[index(rank)];
    if (touches.writer >= 0 && known[index(touches.writer)] < touches.written) {
      return {touches.writer, Access::write};
    }
    if (access == Access::write) {
      for (const auto& [reader, when] : touches.reads) {
        if (known[index(reader)] < when) return {reader, Access::read};
      }
      touches = {rank, known[index(rank)]};
      return {};
    }
    const auto mine = std::find_if(touches.reads.begin(), touches.reads.end(),
                                   [&](const auto& read) { return read.first == rank; });
    if (mine == touches.reads.end()) {
      touches.reads.emplace_back(rank, known[index(rank)]);
    } else {
      mine->second = known[index(rank)];
    }
    return {};
  }

 private:
  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
  static void learn(Clock& mine, const Clock& theirs) {
    for (std::size_t r = 0; r < mine.size(); ++r)
      mine[r] = std::max(mine[r], theirs[r]);
  }

  std::vector<Clock> clocks_;
};

}  // namespace lockstep
