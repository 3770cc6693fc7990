// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/laws.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "perfmodels/calibrate/statistics.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMost = 3;  // parameters of a law
using Row = std::array<double, kMost>;
using Matrix = std::array<Row, kMost>;

int parameters_of(Law law) {
  return law == Law::usl ? 3 : 2;
}

// ---- Linear least squares of at most three coefficients ----

// y = columns . c, every row scaled to y = 1: what remains is a relative error.
struct System {
  std::vector<Row> rows;
  int size;
};

System system_of(Law law, std::span<const ScalingPoint> points) {
  System system{{}, parameters_of(law)};
  for (const auto& [p, x] : points) {
    const double y = p / x;
    if (law == Law::gustafson) {
      system.rows.push_back({p / x, 1 / x});
    } else {
      system.rows.push_back({1 / y, (p - 1) / y, law == Law::usl ? p * (p - 1) / y : 0});
    }
  }
  return system;
}

Matrix normal_matrix(const System& system) {
  Matrix m{};
  for (const Row& row : system.rows) {
    for (int i = 0; i < system.size; ++i) {
      for (int j = 0; j < system.size; ++j)
        m[i][j] += row[i] * row[j];
    }
  }
  return m;
}

// Of the rows and columns in `used` (a bit each); zero elsewhere. Gauss and Jordan with pivots;
// columns are scaled to 1 first, for p(p-1) of thousands of ranks.
std::optional<Matrix> inverse_of(const Matrix& m, int size, unsigned used) {
  std::vector<int> at;
  for (int i = 0; i < size; ++i) {
    if (used >> i & 1) at.push_back(i);
  }
  const int n = static_cast<int>(at.size());
  std::array<std::array<double, 2 * kMost>, kMost> a{};
  Row scale{};
  for (int i = 0; i < n; ++i)
    scale[i] = std::sqrt(m[at[i]][at[i]]);
  for (int i = 0; i < n; ++i) {
    if (scale[i] == 0) return std::nullopt;
    for (int j = 0; j < n; ++j)
      a[i][j] = m[at[i]][at[j]] / (scale[i] * scale[j]);
    a[i][n + i] = 1;
  }
  for (int c = 0; c < n; ++c) {
    int pivot = c;
    for (int r = c + 1; r < n; ++r)
      pivot = std::abs(a[r][c]) > std::abs(a[pivot][c]) ? r : pivot;
    if (std::abs(a[pivot][c]) < 1e-13) return std::nullopt;
    std::swap(a[c], a[pivot]);
    const double by = a[c][c];
    for (double& value : a[c])
      value /= by;
    for (int r = 0; r < n; ++r) {
      const double factor = a[r][c];
      for (int j = 0; r != c && j < 2 * n; ++j)
        a[r][j] -= factor * a[c][j];
    }
  }
  Matrix inverse{};
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j)
      inverse[at[i]][at[j]] = a[i][n + j] / (scale[i] * scale[j]);
  }
  return inverse;
}

Row times(const Matrix& inverse, const System& system) {
  Row right{}, c{};
  for (const Row& row : system.rows) {
    for (int i = 0; i < system.size; ++i)
      right[i] += row[i];
  }
  for (int i = 0; i < system.size; ++i) {
    for (int j = 0; j < system.size; ++j)
      c[i] += inverse[i][j] * right[j];
  }
  return c;
}

double squares_of(const System& system, const Row& c) {
  double sum = 0;
  for (const Row& row : system.rows) {
    double left = 1;
    for (int i = 0; i < system.size; ++i)
      left -= row[i] * c[i];
    sum += left * left;
  }
  return sum;
}

// The best coefficients of which none is below 0: the best of all subsets that are feasible.
Row bounded_solution(const System& system, const Matrix& normal, Law law) {
  Row best{};
  double least = kInfinity;
  for (unsigned used = 1; used < 1U << system.size; ++used) {
    if (law != Law::gustafson && !(used & 1)) continue;  // one rank takes some time
    const std::optional<Matrix> inverse = inverse_of(normal, system.size, used);
    if (!inverse) continue;
    const Row c = times(*inverse, system);
    const double squares = squares_of(system, c);
    const bool feasible = std::all_of(c.begin(), c.end(), [](double v) { return v >= 0; });
    if (feasible && squares < least) {
      best = c;
      least = squares;
    }
  }
  expect(least < kInfinity, "a law without a fit");
  return best;
}

// ---- From coefficients to parameters ----

struct Derived {
  double value;
  Row gradient;
};

// lambda, share, coherence.
std::array<Derived, kMost> parameters_from(Law law, const Row& c) {
  if (law == Law::gustafson) {
    const double rate = c[0] + c[1];
    return {
        {{rate, {1, 1}}, {c[1] / rate, {-c[1] / (rate * rate), c[0] / (rate * rate)}}, {0, {}}}};
  }
  const double a = c[0];
  return {{{1 / a, {-1 / (a * a)}},
           {c[1] / a, {-c[1] / (a * a), 1 / a}},
           {c[2] / a, {-c[2] / (a * a), 0, 1 / a}}}};
}

double deviation(const Row& gradient, const Matrix& covariance) {
  double variance = 0;
  for (int i = 0; i < kMost; ++i) {
    for (int j = 0; j < kMost; ++j)
      variance += gradient[i] * covariance[i][j] * gradient[j];
  }
  return std::sqrt(std::max(variance, 0.0));
}

Figure interval_about(double value, double centre, double half, double most) {
  return {value, std::clamp(std::min(value, centre - half), 0.0, most),
          std::clamp(std::max(value, centre + half), 0.0, most)};
}

void add_intervals(LawFit& fit, const System& system, const Matrix& normal) {
  const unsigned all = (1U << system.size) - 1;
  std::optional<Matrix> covariance = inverse_of(normal, system.size, all);
  if (fit.freedom < 1 || !covariance) {
    fit.freedom = 0;
    return;
  }
  const Row free = times(*covariance, system);
  const double variance = squares_of(system, free) / fit.freedom;
  for (Row& row : *covariance) {
    for (double& value : row)
      value *= variance;
  }
  const auto p = parameters_from(fit.law, free);
  const double t = student(fit.freedom);
  const auto half = [&](int i) { return t * deviation(p[i].gradient, *covariance); };
  fit.rate = interval_about(fit.rate.value, p[0].value, half(0), kInfinity);
  fit.share = interval_about(fit.share.value, p[1].value, half(1), 1);
  if (fit.law == Law::usl) {
    fit.coherence = interval_about(fit.coherence.value, p[2].value, half(2), 1);
  }
}

void check_points(Law law, std::span<const ScalingPoint> points) {
  std::set<double> counts;
  for (const auto& [p, x] : points) {
    if (!(p >= 1) || !(x > 0) || !std::isfinite(x)) {
      throw ConfigError(
          format("a scaling point of %g ranks with throughput %g: ranks are 1 or more "
                 "and throughput is above 0",
                 p, x));
    }
    counts.insert(p);
  }
  if (static_cast<int>(counts.size()) < parameters_of(law)) {
    throw ConfigError(format("%s has %d parameters and there are %zu rank counts; give %d or more",
                             name_of(law), parameters_of(law), counts.size(), parameters_of(law)));
  }
}

double peak_of(double sigma, double kappa) {
  if (kappa <= 0) return kInfinity;
  return std::max(1.0, std::sqrt(std::max(1 - sigma, 0.0) / kappa));
}

std::vector<ScalingPoint> points_of(std::span<const double> ranks, std::span<const double> seconds,
                                    bool grows) {
  expect(ranks.size() == seconds.size(), "ranks without times");
  std::vector<ScalingPoint> points;
  for (std::size_t i = 0; i < ranks.size(); ++i)
    points.push_back({ranks[i], (grows ? ranks[i] : 1) / seconds[i]});
  return points;
}

}  // namespace

const char* name_of(Law law) {
  constexpr const char* kNames[] = {"Amdahl", "Gustafson", "Universal Scalability Law"};
  return kNames[static_cast<int>(law)];
}

std::vector<ScalingPoint> strong_scaling(std::span<const double> ranks,
                                         std::span<const double> seconds) {
  return points_of(ranks, seconds, false);
}

std::vector<ScalingPoint> weak_scaling(std::span<const double> ranks,
                                       std::span<const double> seconds) {
  return points_of(ranks, seconds, true);
}

double LawFit::at(double p) const {
  if (law == Law::gustafson) return rate.value * (p - share.value * (p - 1));
  return rate.value * p / (1 + share.value * (p - 1) + coherence.value * p * (p - 1));
}

Figure LawFit::peak_ranks() const {
  return {peak_of(share.value, coherence.value), peak_of(share.high, coherence.high),
          peak_of(share.low, coherence.low)};
}

LawFit fit(Law law, std::span<const ScalingPoint> points) {
  check_points(law, points);
  const System system = system_of(law, points);
  const Matrix normal = normal_matrix(system);
  const auto found = parameters_from(law, bounded_solution(system, normal, law));

  LawFit fit{.law = law, .points = static_cast<int>(points.size())};
  fit.rate.value = found[0].value;
  fit.share.value = found[1].value;
  fit.coherence.value = found[2].value;
  fit.freedom = fit.points - parameters_of(law);
  for (const auto& [p, x] : points) {
    const double error = std::abs(fit.at(p) / x - 1);
    fit.mean_error += error / fit.points;
    fit.worst_error = std::max(fit.worst_error, error);
    fit.largest_ranks = std::max(fit.largest_ranks, p);
  }
  add_intervals(fit, system, normal);
  return fit;
}

}  // namespace lockstep
