// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/judge.hpp"

#include <algorithm>
#include <cmath>

#include "launch/experiment/points.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Verdict = Judgement::Verdict;

Verdict verdict_of(bool holds) {
  return holds ? Verdict::holds : Verdict::fails;
}

bool measured(const std::vector<PointSummary>& points) {
  return std::any_of(points.begin(), points.end(),
                     [](const PointSummary& p) { return p.tokens_per_second.has_value(); });
}

// Tokens/s with its interval, measured or, where nothing was, predicted.
Figure speed_of(const PointSummary& p, bool from_measurement) {
  if (from_measurement) return p.tokens_per_second.value_or(Figure{});
  if (!p.predicted) return {};
  const double speed = p.predicted->tokens_per_second;
  return {speed, speed, speed};
}

std::string where_from(bool from_measurement) {
  return from_measurement ? "measured" : "predicted";
}

Judgement judge_efficiency(double least, const std::vector<PointSummary>& points) {
  Judgement j{format("an efficiency of %.0f %% or more with the most ranks", 100 * least), {}};
  const bool ran = measured(points);
  bool holds = true, known = false;
  for (const auto& series : series_of(points)) {
    const PointSummary& last = *series.back();
    const double efficiency = ran ? last.efficiency : last.predicted_efficiency;
    if (series.size() < 2 || efficiency == 0) continue;
    known = true;
    holds = holds && efficiency >= least;
    j.found += (j.found.empty() ? "" : "; ") + format("%s: %.1f %% %s", last.name.c_str(),
                                                      100 * efficiency, where_from(ran).c_str());
  }
  if (known) j.verdict = verdict_of(holds);
  if (!known) j.found = "no series has two rank counts that ended";
  return j;
}

Judgement judge_winner(const std::string& winner, const std::vector<PointSummary>& points) {
  Judgement j{winner + " is the fastest", {}};
  const bool ran = measured(points);
  const PointSummary *best = nullptr, *rival = nullptr;  // of those called so, of the others
  for (const PointSummary& p : points) {
    const double speed = speed_of(p, ran).value;
    if (speed == 0) continue;
    const PointSummary*& place = is_called(p.name, p.values, winner) ? best : rival;
    if (!place || speed > speed_of(*place, ran).value) place = &p;
  }
  if (!best || !rival) {
    j.found = best ? "nothing else ended" : "no point of that name ended";
    return j;
  }
  const Figure a = speed_of(*best, ran), b = speed_of(*rival, ran);
  j.found = format("%s: %.0f tokens/s, %s: %.0f, %s", best->name.c_str(), a.value,
                   rival->name.c_str(), b.value, where_from(ran).c_str());
  const bool apart = a.low > b.high || b.low > a.high || !ran;
  if (apart) j.verdict = verdict_of(a.value > b.value);
  if (!apart) j.found += "; their intervals overlap";
  return j;
}

Judgement judge_bottleneck(const std::string& part, const std::vector<PointSummary>& points) {
  Judgement j{part + " limits the scaling", {}};
  bool holds = true, known = false;
  for (const auto& series : series_of(points)) {
    const PointSummary &first = *series.front(), &last = *series.back();
    if (series.size() < 2) continue;
    const bool ran = first.parts && last.parts;
    if (!ran && (!first.predicted || !last.predicted)) continue;
    const Bottleneck b = ran ? bottleneck_of(measured_work(first), measured_work(last))
                             : bottleneck_of(predicted_work(first), predicted_work(last));
    known = true;
    holds = holds && b.limits() && part == name_of(b.part);
    j.found += (j.found.empty() ? "" : "; ") +
               (b.limits() ? format("%s, %.0f %% of what is lost, %s", name_of(b.part),
                                    100 * b.lost[b.part] / b.lost.total(), where_from(ran).c_str())
                           : "nothing does, " + where_from(ran));
  }
  if (known) j.verdict = verdict_of(holds);
  if (!known) j.found = "no series has the breakdown of two rank counts";
  return j;
}

Judgement judge_prediction(double most, const std::vector<PointSummary>& points) {
  Judgement j{format("every step is predicted within %.0f %%", 100 * most), {}};
  const PointSummary* worst = nullptr;
  double error = 0;
  for (const PointSummary& p : points) {
    if (!p.step || !p.predicted) continue;
    const double here = p.predicted->step_seconds / p.step->value - 1;
    if (worst && std::abs(here) <= std::abs(error)) continue;
    worst = &p;
    error = here;
  }
  if (!worst) {
    j.found = "no point was both measured and predicted";
    return j;
  }
  j.found = format("at worst %+.1f %%, %s", 100 * error, worst->name.c_str());
  j.verdict = verdict_of(std::abs(error) <= most);
  return j;
}

}  // namespace

const char* name_of(Verdict verdict) {
  constexpr const char* kNames[] = {"holds", "does not hold", "not decided"};
  return kNames[static_cast<int>(verdict)];
}

std::vector<Judgement> judge(const Hypothesis& h, const std::vector<PointSummary>& points) {
  std::vector<Judgement> all;
  if (h.efficiency > 0) all.push_back(judge_efficiency(h.efficiency, points));
  if (!h.winner.empty()) all.push_back(judge_winner(h.winner, points));
  if (!h.bottleneck.empty()) all.push_back(judge_bottleneck(h.bottleneck, points));
  if (h.prediction_error > 0) all.push_back(judge_prediction(h.prediction_error, points));
  return all;
}

}  // namespace lockstep
