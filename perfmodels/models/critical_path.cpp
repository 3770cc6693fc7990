// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/models/critical_path.hpp"

#include <algorithm>
#include <bit>

#include "collectives/algorithms/patterns.hpp"

namespace lockstep {

namespace {

using Kind = PathTerm::Kind;
using Path = std::optional<CriticalPath>;

bool is_power_of_two(int p) {
  return power_of_two_below(p) == p;
}

CriticalPath steps(double times, double bytes, double reduced = 0) {
  return {{{times, bytes}}, reduced};
}

// n/2, n/4, ... n/p, each `times` times.
CriticalPath halves(int p, double n, double times, double reduced) {
  CriticalPath path{{}, reduced};
  for (int i = 1; i <= floor_log2(p); ++i)
    path.terms.push_back({times, n / (1 << i)});
  return path;
}

Path one_lap(int p, double n) {
  return steps(p - 1, n / p);
}
Path one_lap_reduced(int p, double n) {
  return steps(p - 1, n / p, n * (p - 1) / p);
}
Path two_laps(int p, double n) {
  return steps(2 * (p - 1), n / p, n * (p - 1) / p);
}
Path tree(int p, double n) {
  return steps(ceil_log2(p), n);
}
Path reducing_tree(int p, double n) {
  return steps(ceil_log2(p), n, ceil_log2(p) * n);
}
Path tree_up_and_down(int p, double n) {
  return steps(2 * ceil_log2(p), n, ceil_log2(p) * n);
}
// Folded ranks give theirs first and get the result last.
Path doubling(int p, double n) {
  const int folds = is_power_of_two(p) ? 0 : 1, doublings = floor_log2(p);
  return steps(doublings + 2 * folds, n, (doublings + folds) * n);
}
Path halving_and_doubling(int p, double n) {
  const int q = power_of_two_below(p), folds = q < p ? 1 : 0;
  CriticalPath path = halves(q, n, 2, n * (q - 1) / q + folds * n);
  path.terms.push_back({2.0 * folds, n});
  return path;
}
Path halving(int p, double n) {
  if (!is_power_of_two(p)) return std::nullopt;
  return halves(p, n, 1, n * (p - 1) / p);
}
Path growing(int p, double n) {
  if (!is_power_of_two(p)) return std::nullopt;
  return halves(p, n, 1, 0);
}
// Step i doubles what a rank has; the last brings the rest.
Path bruck_gather(int p, double n) {
  CriticalPath path;
  for (int has = 1; has < p; has *= 2)
    path.terms.push_back({1, n / p * std::min(has, p - has)});
  return path;
}
// Step i moves the blocks whose distance has bit i.
Path bruck_exchange(int p, double n) {
  CriticalPath path;
  for (int bit = 1; bit < p; bit *= 2) {
    int blocks = 0;
    for (int d = 1; d < p; ++d)
      blocks += (d & bit) != 0;
    path.terms.push_back({1, n / p * blocks});
  }
  return path;
}
Path chain(int p, double n) {
  const int k = num_segments(n);
  return CriticalPath{{{p - 1.0, n / k}, {k - 1.0, n / k, p > 2 ? Kind::relays : Kind::sends}}, 0};
}
Path all_from_root(int p, double n) {
  return CriticalPath{{{1, n / p}, {p - 2.0, n / p, Kind::sends}}, 0};
}
Path all_to_root(int p, double n) {
  return CriticalPath{{{1, n / p}, {p - 2.0, n / p, Kind::receives}}, 0};
}
Path signals(int p, double) {
  return steps(ceil_log2(p), 1);
}

struct Entry {
  Collective what;
  std::string_view name;
  Path (*make)(int p, double n);
};
constexpr Entry kPaths[] = {
    {Collective::all_gather, "bruck", bruck_gather},
    {Collective::all_gather, "recursive_doubling", growing},
    {Collective::all_gather, "ring", one_lap},
    {Collective::all_reduce, "binomial", tree_up_and_down},
    {Collective::all_reduce, "halving_doubling", halving_and_doubling},
    {Collective::all_reduce, "recursive_doubling", doubling},
    {Collective::all_reduce, "ring", two_laps},
    {Collective::all_to_all, "bruck", bruck_exchange},
    {Collective::all_to_all, "pairwise", one_lap},
    {Collective::barrier, "dissemination", signals},
    {Collective::broadcast, "binomial", tree},
    {Collective::broadcast, "chain", chain},
    {Collective::gather, "binomial", growing},
    {Collective::gather, "linear", all_to_root},
    {Collective::reduce, "binomial", reducing_tree},
    {Collective::reduce_scatter, "pairwise", one_lap_reduced},
    {Collective::reduce_scatter, "recursive_halving", halving},
    {Collective::reduce_scatter, "ring", one_lap_reduced},
    {Collective::scatter, "binomial", growing},
    {Collective::scatter, "linear", all_from_root},
};

double seconds_each(const PathTerm& term, const MessageModel& model) {
  const MessageCost cost = model.of(term.bytes);
  switch (term.kind) {
    case Kind::sends:
      return std::max(cost.hold, cost.send);
    case Kind::receives:
      return std::max(cost.hold, cost.receive);
    case Kind::relays:
      return std::max(cost.hold, cost.send + cost.receive);
    case Kind::step:
      break;
  }
  return cost.alone();
}

}  // namespace

std::optional<CriticalPath> critical_path(Collective what, std::string_view name, int p, double n) {
  if (p == 1) return CriticalPath{};
  for (const Entry& entry : kPaths) {
    if (entry.what == what && entry.name == name) return entry.make(p, n);
  }
  return std::nullopt;
}

double path_seconds(const CriticalPath& path, const MessageModel& model, double gamma) {
  double seconds = path.reduced * gamma;
  for (const PathTerm& term : path.terms) {
    if (term.times > 0) seconds += term.times * seconds_each(term, model);
  }
  return seconds;
}

}  // namespace lockstep
