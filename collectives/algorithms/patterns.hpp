// SPDX-License-Identifier: Apache-2.0
// Who talks to whom, and about which part: the arithmetic that several algorithms share. No I/O.
#pragma once

#include <bit>
#include <vector>

#include "collectives/blocks.hpp"

namespace lockstep {

constexpr int power_of_two_below(int p) {  // or p itself
  return static_cast<int>(std::bit_floor(static_cast<unsigned>(p)));
}
constexpr int floor_log2(int p) {
  return std::bit_width(static_cast<unsigned>(p)) - 1;
}
constexpr int ceil_log2(int p) {
  return std::bit_width(static_cast<unsigned>(p) - 1);
}

// The p ranks as a power of two of places: the first r = p - q pairs of neighbours have one place
// each. One of a pair is folded: it lets the other speak for both. That is the odd one, unless the
// odd one is `kept`.
class Folding {
 public:
  explicit constexpr Folding(int p, int kept = 0)
      : places_(power_of_two_below(p)), pairs_(p - places_), kept_(kept) {}

  constexpr int places() const { return places_; }
  constexpr int pairs() const { return pairs_; }
  constexpr bool paired(int rank) const { return rank < 2 * pairs_; }
  constexpr bool folded(int rank) const { return rank_at(place_of(rank)) != rank; }
  constexpr int place_of(int rank) const { return paired(rank) ? rank / 2 : rank - pairs_; }
  // Who speaks for a place.
  constexpr int rank_at(int place) const {
    return first_rank(place) + (place < pairs_ && kept_ == 2 * place + 1 ? 1 : 0);
  }
  // The ranks of a place, one or two, begin here: first_rank(places()) is p.
  constexpr int first_rank(int place) const { return place < pairs_ ? 2 * place : place + pairs_; }

 private:
  int places_, pairs_, kept_;
};

// The blocks first..last-1 as one.
inline Block blocks_between(const Blocks& blocks, int first, int last) {
  const std::size_t begin = blocks[first].begin;
  const Block end = blocks[last - 1];
  return {begin, end.begin + end.count - begin};
}

// A binomial tree over ranges of ranks: the holder of a range has another rank take over the half
// in which it is not itself. Ranges are contiguous for any root, so nothing is packed. The
// handovers that `me` is part of, from the root down.
struct Handover {
  int holder, taker;
  int first, last;  // the ranks that the taker stands for
};
inline std::vector<Handover> handovers(int p, int root, int me) {
  std::vector<Handover> mine;
  int first = 0, last = p, holder = root;
  while (last - first > 1) {
    const int middle = first + (last - first + 1) / 2;
    const bool holder_below = holder < middle;
    const Handover over{holder, holder_below ? middle : first, holder_below ? middle : first,
                        holder_below ? last : middle};
    if (me == over.holder || me == over.taker) mine.push_back(over);
    const bool goes_over = me >= over.first && me < over.last;
    (goes_over == holder_below ? first : last) = middle;
    if (goes_over) holder = over.taker;
  }
  return mine;
}

// A binary tree in which odd ranks are leaves: a rank's lowest set bit is its height. Rank 0 is the
// root and has one child. -1: none.
struct TreeLinks {
  int parent = -1;
  int children[2] = {-1, -1};
};
constexpr TreeLinks binary_tree(int p, int rank) {
  if (p == 1) return {};
  if (rank == 0) return {-1, {power_of_two_below(p - 1), -1}};
  const int bit = rank & -rank;
  TreeLinks links{(rank ^ bit) | bit << 1, {-1, -1}};
  if (links.parent >= p) links.parent = rank ^ bit;
  if (bit > 1) links.children[0] = rank - bit / 2;
  int above = bit / 2;
  while (above > 0 && rank + above >= p)
    above /= 2;
  if (above > 0) links.children[1] = rank + above;
  return links;
}
// Its complement: the leaves of one are the inner ranks of the other, but for the last of an even
// and the first of an odd number of ranks.
constexpr TreeLinks other_binary_tree(int p, int rank) {
  const bool even = p % 2 == 0;  // mirrored, or shifted by one
  const auto there = [=](int r) { return even ? p - 1 - r : (r + p - 1) % p; };
  const auto back = [=](int r) { return r < 0 ? r : even ? p - 1 - r : (r + 1) % p; };
  const TreeLinks links = binary_tree(p, there(rank));
  return {back(links.parent), {back(links.children[0]), back(links.children[1])}};
}

// Pipelines cut a vector into segments of at most this size: the time to send one, about 5 us at
// 14 GB/s, is ten times the latency, and a few of them stay in a core's cache.
inline constexpr std::size_t kSegmentBytes = 64 << 10;
constexpr int num_segments(double bytes) {
  const auto most = static_cast<double>(kSegmentBytes);
  const auto full = static_cast<int>(bytes / most);
  return full + (full * most < bytes || full == 0 ? 1 : 0);
}

}  // namespace lockstep
