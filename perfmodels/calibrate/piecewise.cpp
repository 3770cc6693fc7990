// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/piecewise.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "perfmodels/calibrate/statistics.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kLeastPoints = 3;  // of a segment, where there are several
constexpr double kResolution = 0.005;    // relative errors below it are nothing to be explained
constexpr double kZ = 1.645;             // 90 % of a normal distribution
constexpr double kLeastJump = 1.0 / 6;

// Sums of weighted least squares, weights 1 / t^2.
struct Sums {
  double w = 0, wn = 0, wnn = 0, wt = 0, wnt = 0;
  void add(const Point& p) {
    const double t = p.y.value, weight = 1 / (t * t);
    w += weight;
    wn += weight * p.x;
    wnn += weight * p.x * p.x;
    wt += weight * t;
    wnt += weight * p.x * t;
  }
  double determinant() const { return w * wnn - wn * wn; }
};

struct Line {
  double alpha = 0, beta = 0;
  double at(double n) const { return alpha + beta * n; }
};

// The best of lines that are not negative: the free one, flat, or through the origin.
Line line_of(const Sums& s) {
  const double d = s.determinant();
  if (d > 0) {
    const Line free{(s.wnn * s.wt - s.wn * s.wnt) / d, (s.w * s.wnt - s.wn * s.wt) / d};
    if (free.alpha >= 0 && free.beta >= 0) return free;
    if (free.alpha < 0) return {0, s.wnt / s.wnn};
  }
  return {s.wt / s.w, 0};
}

struct Piece {
  Line line;
  Sums sums;
  double squares = 0;  // of relative errors
};

Piece piece_of(const std::vector<Point>& points, std::size_t begin, std::size_t end) {
  Piece piece;
  for (std::size_t i = begin; i < end; ++i)
    piece.sums.add(points[i]);
  piece.line = line_of(piece.sums);
  for (std::size_t i = begin; i < end; ++i) {
    const double error = piece.line.at(points[i].x) / points[i].y.value - 1;
    piece.squares += error * error;
  }
  return piece;
}

Figure with_error(double value, double error) {
  return {value, std::max(value - kZ * error, 0.0), value + kZ * error};
}

// What the scatter around the line leaves open.
Segment segment_from(const Piece& piece, double from_bytes, std::size_t n) {
  const double variance = n > 2 ? piece.squares / static_cast<double>(n - 2) : 0;
  const double d = std::max(piece.sums.determinant(), 1e-300);
  return {.from_bytes = from_bytes,
          .alpha = with_error(piece.line.alpha, std::sqrt(variance * piece.sums.wnn / d)),
          .beta = with_error(piece.line.beta, std::sqrt(variance * piece.sums.w / d))};
}

// ends[k][j]: where the last of k+1 pieces over the first j points begins, and what all cost.
class Cuts {
 public:
  Cuts(const std::vector<Point>& points, int most) : points_(points), n_(points.size()) {
    const double never = std::numeric_limits<double>::infinity();
    std::vector<std::vector<double>> one(n_ + 1, std::vector<double>(n_ + 1, never));
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = i + kLeastPoints; j <= n_; ++j)
        one[i][j] = piece_of(points, i, j).squares;
    }
    if (n_ < kLeastPoints) one[0][n_] = piece_of(points, 0, n_).squares;
    cost_.push_back(one[0]);
    begin_.emplace_back(n_ + 1, 0);
    for (int k = 1; k < most; ++k)
      add_piece(one);
  }

  double cost(int pieces) const { return cost_[static_cast<std::size_t>(pieces - 1)][n_]; }
  // Where each piece begins.
  std::vector<std::size_t> of(int pieces) const {
    std::vector<std::size_t> begins;
    std::size_t end = n_;
    for (int k = pieces; k-- > 0;) {
      end = begin_[static_cast<std::size_t>(k)][end];
      begins.insert(begins.begin(), end);
    }
    return begins;
  }

 private:
  void add_piece(const std::vector<std::vector<double>>& one) {
    const std::vector<double>& before = cost_.back();
    std::vector<double> cost(n_ + 1, std::numeric_limits<double>::infinity());
    std::vector<std::size_t> begin(n_ + 1, 0);
    for (std::size_t j = 0; j <= n_; ++j) {
      for (std::size_t i = 0; i < j; ++i) {
        if (before[i] + one[i][j] >= cost[j]) continue;
        cost[j] = before[i] + one[i][j];
        begin[j] = i;
      }
    }
    cost_.push_back(std::move(cost));
    begin_.push_back(std::move(begin));
  }

  const std::vector<Point>& points_;
  std::size_t n_;
  std::vector<std::vector<double>> cost_;
  std::vector<std::vector<std::size_t>> begin_;
};

double criterion(double squares, double n, int pieces) {
  const double parameters = 3 * pieces - 1;  // two of each line, and where it begins
  return n * std::log(squares / n + kResolution * kResolution) + parameters * std::log(n);
}

int best_number(const Cuts& cuts, std::size_t points, int most) {
  const auto n = static_cast<double>(points);
  int best = 1;
  for (int k = 2; k <= most; ++k) {
    if (static_cast<std::size_t>(k) * kLeastPoints > points || std::isinf(cuts.cost(k))) break;
    if (criterion(cuts.cost(k), n, k) < criterion(cuts.cost(best), n, best)) best = k;
  }
  return best;
}

}  // namespace

const Segment& PiecewiseFit::segment_of(double bytes) const {
  expect(!segments.empty(), "a fit without segments");
  std::size_t i = 0;
  while (i + 1 < segments.size() && segments[i + 1].from_bytes <= bytes)
    ++i;
  return segments[i];
}

double PiecewiseFit::at(double bytes) const {
  const Segment& s = segment_of(bytes);
  return s.alpha.value + s.beta.value * bytes;
}

PiecewiseFit fit_segments(const std::vector<Point>& points, int most) {
  expect(points.size() >= 2, "a fit of less than two points");
  const Cuts cuts(points, most);
  std::vector<std::size_t> begins = cuts.of(best_number(cuts, points.size(), most));
  PiecewiseFit fit;
  for (std::size_t k = 0; k < begins.size(); ++k) {
    const std::size_t end = k + 1 < begins.size() ? begins[k + 1] : points.size();
    const double from = k == 0 ? 0 : points[begins[k]].x;
    fit.segments.push_back(segment_from(piece_of(points, begins[k], end), from, end - begins[k]));
  }
  std::vector<double> errors;
  for (const Point& p : points)
    errors.push_back(std::abs(fit.at(p.x) / p.y.value - 1));
  fit.median_error = median_of(errors);
  fit.worst_error = *std::max_element(errors.begin(), errors.end());
  return fit;
}

std::vector<Point> ascending(const std::vector<Point>& points) {
  struct Pool {
    double weight;
    Figure mean;
    std::size_t members;
  };
  const auto mean = [](double a, double b, double share) { return a + share * (b - a); };
  std::vector<Pool> pools;
  for (const Point& p : points) {
    const double width = (p.y.high - p.y.low) / p.y.value;
    Pool last{1 / (width * width + kResolution * kResolution), p.y, 1};
    for (; !pools.empty() && pools.back().mean.value > last.mean.value; pools.pop_back()) {
      const Pool& before = pools.back();
      const double share = last.weight / (before.weight + last.weight);
      last = {before.weight + last.weight,
              {mean(before.mean.value, last.mean.value, share),
               mean(before.mean.low, last.mean.low, share),
               mean(before.mean.high, last.mean.high, share)},
              before.members + last.members};
    }
    pools.push_back(last);
  }
  std::vector<Point> all;
  for (const Pool& pool : pools) {
    for (std::size_t i = 0; i < pool.members; ++i)
      all.push_back({points[all.size()].x, pool.mean});
  }
  return all;
}

Jump find_jump(const PiecewiseFit& fit, const std::vector<Point>& points) {
  Jump jump;
  double most = 1 + kLeastJump;
  for (std::size_t k = 1; k < fit.segments.size(); ++k) {
    const Segment &left = fit.segments[k - 1], &right = fit.segments[k];
    const double n = right.from_bytes;
    const double before = left.alpha.value + left.beta.value * n;
    const double after = right.alpha.value + right.beta.value * n;
    const double growth = right.alpha.value / std::max(left.alpha.value, 1e-12);
    const bool certain = right.alpha.low > left.alpha.high;
    if (!certain || after < (1 + kLeastJump) * before || growth <= most) continue;
    most = growth;
    const auto above =
        std::find_if(points.begin(), points.end(), [&](const Point& p) { return p.x >= n; });
    jump = {(above - 1)->x, above->x};
  }
  return jump;
}

}  // namespace lockstep
