// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/lattice.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

// What 9 of 10 values do not exceed.
double ninth_decile(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[(values.size() * 9) / 10 < values.size() ? values.size() * 9 / 10
                                                         : values.size() - 1];
}

}  // namespace

Lattice::Lattice(const std::vector<Sample>& samples) : samples_(samples) {
  if (samples.empty()) return;
  for (int d = 0; d < kSizes; ++d) {
    std::vector<double>& lines = lines_[static_cast<std::size_t>(d)];
    for (const Sample& s : samples)
      lines.push_back(std::log(s.at[static_cast<std::size_t>(d)]));
    std::sort(lines.begin(), lines.end());
    lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  }
  nodes_.resize(lines_[0].size() * lines_[1].size() * lines_[2].size());
  for (const Sample& s : samples) {
    Index i{};
    for (std::size_t d = 0; d < kSizes; ++d) {
      const auto line = std::lower_bound(lines_[d].begin(), lines_[d].end(), std::log(s.at[d]));
      i[d] = static_cast<std::size_t>(line - lines_[d].begin());
    }
    nodes_[offset(i)] = {std::log(s.cost.value), s.cost.spread(), Node::Known::measured};
  }
  measure_error();
  estimate_missing();
}

std::size_t Lattice::offset(const Index& i) const {
  return (i[0] * lines_[1].size() + i[1]) * lines_[2].size() + i[2];
}

Lattice::Index Lattice::index(std::size_t at) const {
  const std::size_t n1 = lines_[1].size(), n2 = lines_[2].size();
  return {at / (n1 * n2), at / n2 % n1, at % n2};
}

// The mean of what all pairs of sizes say, from neighbours towards smaller or larger ones.
bool Lattice::estimate(const Index& at, Node& node) const {
  double sum = 0, spread = 0;
  int count = 0;
  const auto step = [&](Index i, std::size_t d, int by) -> const Node* {
    if (by < 0 ? i[d] == 0 : i[d] + 1 >= lines_[d].size()) return nullptr;
    i[d] += static_cast<std::size_t>(by);
    const Node& n = nodes_[offset(i)];
    return n.known == Node::Known::no ? nullptr : &n;
  };
  for (std::size_t a = 0; a < kSizes; ++a) {
    for (std::size_t b = a + 1; b < kSizes; ++b) {
      for (const auto [by_a, by_b] : {std::array{-1, -1}, {-1, 1}, {1, -1}, {1, 1}}) {
        const Node *na = step(at, a, by_a), *nb = step(at, b, by_b);
        if (!na || !nb) continue;
        Index corner = at;
        corner[a] += static_cast<std::size_t>(by_a);
        const Node* both = step(corner, b, by_b);
        if (!both) continue;
        sum += na->log_cost + nb->log_cost - both->log_cost;
        spread = std::max({spread, na->spread, nb->spread});
        ++count;
      }
    }
  }
  if (count > 0) node = {sum / count, spread, Node::Known::estimated};
  return count > 0;
}

void Lattice::estimate_missing() {
  for (bool changed = true; changed;) {
    std::vector<Node> next = nodes_;
    changed = false;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].known == Node::Known::no) changed |= estimate(index(i), next[i]);
    }
    nodes_ = std::move(next);
  }
}

// Each measured point between two others, from them. Where lines lie half as far apart, linear
// interpolation misses by a quarter of that.
void Lattice::measure_error() {
  std::vector<double> misses;
  for (std::size_t at = 0; at < nodes_.size(); ++at) {
    const Index i = index(at);
    for (std::size_t d = 0; d < kSizes; ++d) {
      if (i[d] == 0 || i[d] + 1 >= lines_[d].size()) continue;
      Index below = i, above = i;
      --below[d];
      ++above[d];
      const Node &a = nodes_[offset(below)], &b = nodes_[offset(above)], &here = nodes_[at];
      const bool all = a.known == Node::Known::measured && b.known == Node::Known::measured &&
                       here.known == Node::Known::measured;
      if (!all) continue;
      const double share =
          (lines_[d][i[d]] - lines_[d][below[d]]) / (lines_[d][above[d]] - lines_[d][below[d]]);
      const double expected = a.log_cost + share * (b.log_cost - a.log_cost);
      misses.push_back(std::abs(std::expm1(expected - here.log_cost)) / 4);
    }
  }
  error_ = ninth_decile(std::move(misses));
}

Lattice::Place Lattice::place(int size, double x) const {
  const std::vector<double>& lines = lines_[static_cast<std::size_t>(size)];
  const double at = std::log(x);
  constexpr double kSlack = 1e-9;  // of logarithms
  if (lines.size() == 1) return {0, 0, std::abs(at - lines.front()) < kSlack};
  const bool within = lines.front() - kSlack <= at && at <= lines.back() + kSlack;
  const auto above = std::upper_bound(lines.begin() + 1, lines.end() - 1, at);
  const auto low = static_cast<std::size_t>(above - lines.begin()) - 1;
  const double share = (at - lines[low]) / (lines[low + 1] - lines[low]);
  return {low, std::clamp(share, 0.0, 1.0), within};
}

Lattice::Value Lattice::at(const Sizes& x) const {
  expect(!empty(), "a lattice without points");
  std::array<Place, kSizes> places;
  bool within = true;
  double middle = 0;
  for (int d = 0; d < kSizes; ++d) {
    const Place p = places[static_cast<std::size_t>(d)] = place(d, x[static_cast<std::size_t>(d)]);
    within = within && p.within;
    middle = std::max(middle, 4 * p.share * (1 - p.share));
  }
  double known = 0, measured = 0, log_cost = 0, spread = 0;
  for (unsigned corner = 0; corner < 1U << kSizes; ++corner) {
    double weight = 1;
    Index i{};
    for (std::size_t d = 0; d < kSizes; ++d) {
      const bool high = corner >> d & 1;
      weight *= high ? places[d].share : 1 - places[d].share;
      i[d] = places[d].low + (high && places[d].share > 0 ? 1 : 0);
    }
    if (weight == 0) continue;
    const Node& node = nodes_[offset(i)];
    if (node.known == Node::Known::no) continue;
    known += weight;
    if (node.known == Node::Known::measured) measured += weight;
    log_cost += weight * node.log_cost;
    spread += weight * node.spread;
  }
  if (known == 0) return {nearest(x), error_, false};
  const double value = std::exp(log_cost / known);
  spread /= known;
  Figure cost{value};
  if (spread > 0) cost = {value, value * (1 - std::min(spread, 1.0)), value * (1 + spread)};
  return {cost, error_ * middle, within && measured >= 0.5};
}

Figure Lattice::nearest(const Sizes& x) const {
  expect(!empty(), "a lattice without points");
  const auto distance = [&](const Sample& s) {
    double sum = 0;
    for (std::size_t d = 0; d < kSizes; ++d)
      sum += std::abs(std::log(s.at[d] / x[d]));
    return sum;
  };
  return std::min_element(
             samples_.begin(), samples_.end(),
             [&](const Sample& a, const Sample& b) { return distance(a) < distance(b); })
      ->cost;
}

}  // namespace lockstep
