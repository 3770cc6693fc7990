// SPDX-License-Identifier: Apache-2.0
// Three laws of scaling, fitted to measured or predicted points. p ranks, lambda the throughput of
// one:
//
//   Amdahl     fixed problem      X(p) = lambda p / (1 + f (p-1))                      1967
//   Gustafson  growing problem    X(p) = lambda (p - f (p-1))                          1988
//   USL        either             X(p) = lambda p / (1 + sigma (p-1) + kappa p (p-1))  Gunther 1993
//
// f is the serial share; sigma contention (waiting for what is shared; with kappa = 0 it is
// Amdahl's f), kappa coherence (what each pair of ranks costs). Each law is linear in disguise: p/X
// in (1, p-1, p(p-1)), or X in (p, 1). So the least squares of relative errors, with no coefficient
// below 0, are exact and take microseconds. Intervals (90 %) are from the covariance of the fit
// without that bound and Student's t of n - k degrees of freedom, cut at what a parameter can be.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "perfmodels/machine/figure.hpp"

namespace lockstep {

enum class Law : std::uint8_t { amdahl, gustafson, usl };
const char* name_of(Law law);

struct ScalingPoint {
  double ranks = 0;
  double throughput = 0;  // work per second, in any unit
};

// Of a problem that stays the same, and of one that grows with the ranks.
std::vector<ScalingPoint> strong_scaling(std::span<const double> ranks,
                                         std::span<const double> seconds);
std::vector<ScalingPoint> weak_scaling(std::span<const double> ranks,
                                       std::span<const double> seconds);

struct LawFit {
  Law law = Law::usl;
  Figure rate{};                // lambda
  Figure share{};               // f, or sigma
  Figure coherence{};           // kappa; 0 but for USL
  int points = 0, freedom = 0;  // no degree of freedom: there are no intervals
  double largest_ranks = 0;
  double mean_error = 0, worst_error = 0;  // |law / point - 1|

  double at(double ranks) const;
  bool has_intervals() const { return freedom > 0; }
  // The rank count past which throughput falls: infinite where the fit knows of none.
  Figure peak_ranks() const;
};

// ConfigError if there are fewer rank counts than parameters, or a point is not above 0.
LawFit fit(Law law, std::span<const ScalingPoint> points);

// What the parameters mean, how well the law describes the points, and how little few points say.
std::string in_words(const LawFit& fit);

}  // namespace lockstep
