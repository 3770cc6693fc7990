// SPDX-License-Identifier: Apache-2.0
// What the parameters of a fitted law mean, said to people.
#include <algorithm>
#include <cmath>

#include "perfmodels/laws.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

// Errors beyond which a law describes its points badly, or not at all: its parameters mean nothing.
constexpr double kPoor = 0.1, kUseless = 0.5;

std::string percent(double share) {
  return format("%.3g %%", share * 100);
}

std::string range_of(const LawFit& fit, const std::string& low, const std::string& high) {
  return fit.has_intervals() ? " (90 % interval " + low + " to " + high + ")" : "";
}

std::string share_in_words(const LawFit& fit) {
  return percent(fit.share.value) + range_of(fit, percent(fit.share.low), percent(fit.share.high));
}

std::string limit_in_words(double f) {
  if (f <= 0) return "no limit shows";
  return format(
      "however many ranks, at most %.3g times as fast as one; half of that with %.3g ranks", 1 / f,
      std::max(1.0, (1 - f) / f));
}

std::string ranks_in_words(double ranks) {
  return std::isfinite(ranks) ? format("%.0f", ranks) : "no limit";
}

std::string peak_in_words(const LawFit& fit) {
  const Figure peak = fit.peak_ranks();
  if (!std::isfinite(peak.value)) return "no rank count shows past which more ranks hurt";
  std::string text = format("more ranks hurt past %.0f", peak.value) +
                     range_of(fit, ranks_in_words(peak.low), ranks_in_words(peak.high));
  if (peak.value > fit.largest_ranks) {
    text += format(", which is beyond the largest count seen, %.0f", fit.largest_ranks);
  }
  return text;
}

std::string meaning_of(const LawFit& fit) {
  switch (fit.law) {
    case Law::amdahl:
      return "serial share " + share_in_words(fit) + ": " + limit_in_words(fit.share.value);
    case Law::gustafson:
      return "serial share " + share_in_words(fit) +
             format(": each further rank adds %.3g of what the first does", 1 - fit.share.value);
    case Law::usl:
      break;
  }
  std::string text =
      "contention " + share_in_words(fit) +
      format(", coherence %.3g per pair", fit.coherence.value) +
      range_of(fit, format("%.3g", fit.coherence.low), format("%.3g", fit.coherence.high));
  if (fit.has_intervals() && fit.coherence.low <= 0) text += ", not told apart from none";
  return text + ": " + peak_in_words(fit);
}

std::string quality_of(const LawFit& fit) {
  constexpr double kRounding = 1e-9;
  std::string text = format("%d points, ", fit.points);
  text += fit.worst_error < kRounding
              ? "met exactly"
              : format("missed by %s on average and %s at most", percent(fit.mean_error).c_str(),
                       percent(fit.worst_error).c_str());
  if (fit.worst_error > kPoor && fit.worst_error <= kUseless)
    text += "; this law does not describe them well";
  if (!fit.has_intervals()) return text + "; too few points to say how sure that is";
  if (fit.freedom < 3) text += format("; only %d more than parameters", fit.freedom);
  return text;
}

}  // namespace

std::string in_words(const LawFit& fit) {
  if (fit.worst_error > kUseless)
    return std::string(name_of(fit.law)) + ": does not describe these points (" + quality_of(fit) +
           ")";
  return std::string(name_of(fit.law)) + ": " + meaning_of(fit) + " (" + quality_of(fit) + ")";
}

}  // namespace lockstep
