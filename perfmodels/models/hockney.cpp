// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/models/hockney.hpp"

#include <algorithm>

namespace lockstep {

namespace {

constexpr double kLeastBytes = 8, kMostBytes = 16 << 20, kStep = 4;  // where there are no points
constexpr double kLeastAlpha = 1e-9, kLeastBeta = 1e-13;

// Linear in figures, ends to ends; where one is without an interval, its value stands for both.
double low_of(const Figure& f) {
  return f.high > 0 ? f.low : f.value;
}
double high_of(const Figure& f) {
  return f.high > 0 ? f.high : f.value;
}
Figure on_line(const Figure& alpha, const Figure& beta, double bytes) {
  return {alpha.value + beta.value * bytes, low_of(alpha) + low_of(beta) * bytes,
          high_of(alpha) + high_of(beta) * bytes};
}

const Segment& segment_of(const LinkProfile& link, double bytes) {
  const auto behind = std::find_if(link.segments.begin() + 1, link.segments.end(),
                                   [&](const Segment& s) { return s.from_bytes > bytes; });
  return *(behind - 1);
}

struct Fitted {
  double alpha, beta;
};
// Least squares of relative errors.
template <class Seconds>
Fitted fit(const std::vector<Point>& points, Seconds seconds_of) {
  double w = 0, wn = 0, wnn = 0, wt = 0, wnt = 0;
  for (const Point& point : points) {
    const double t = seconds_of(point.y), n = point.x, weight = 1 / (t * t);
    w += weight;
    wn += weight * n;
    wnn += weight * n * n;
    wt += weight * t;
    wnt += weight * n * t;
  }
  const double determinant = w * wnn - wn * wn;
  return {std::max((wnn * wt - wn * wnt) / determinant, kLeastAlpha),
          std::max((w * wnt - wn * wt) / determinant, kLeastBeta)};
}

// What the profile says of single messages, to be fitted.
std::vector<Point> points_of(const LinkProfile& link) {
  if (link.segments.empty()) return link.messages.points();
  std::vector<Point> points;
  for (double n = kLeastBytes; n <= kMostBytes; n *= kStep)
    points.push_back({n, message_seconds(link, n)});
  return points;
}

Figure between(double value, double a, double b) {
  return {value, std::min({value, a, b}), std::max({value, a, b})};
}

}  // namespace

Figure message_seconds(const LinkProfile& link, double bytes) {
  if (!link.segments.empty()) {
    const Segment& s = segment_of(link, bytes);
    return on_line(s.alpha, s.beta, bytes);
  }
  if (!link.messages.empty()) return link.messages.figure_at(bytes);
  const Line line = line_of(link.loggp);
  return on_line(line.alpha, line.beta, bytes);
}

Line line_of(const LinkProfile& link) {
  if (link.segments.size() == 1) return {link.segments.front().alpha, link.segments.front().beta};
  const std::vector<Point> points = points_of(link);
  if (points.size() < 2) return line_of(link.loggp);
  const Fitted fitted = fit(points, [](const Figure& y) { return y.value; });
  const Fitted low = fit(points, low_of), high = fit(points, high_of);
  return {between(fitted.alpha, low.alpha, high.alpha), between(fitted.beta, low.beta, high.beta)};
}

Line line_of(const LogGP& p) {
  const auto alpha = [&](auto part) {
    return std::max(part(p.L) + part(p.o_send) + part(p.o_recv) - part(p.G), 0.0);
  };
  const double value = alpha([](const Figure& f) { return f.value; });
  return {between(value, alpha(low_of), alpha(high_of)), p.G};
}

}  // namespace lockstep
