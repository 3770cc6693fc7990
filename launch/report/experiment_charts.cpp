// SPDX-License-Identifier: Apache-2.0
#include "launch/report/experiment_charts.hpp"

#include <algorithm>
#include <cmath>

#include "launch/report/numbers.hpp"

namespace lockstep {

namespace {

using Look = Curve2d::Look;

std::string titled(const std::string& series, const char* what) {
  return series.empty() ? what : series + ", " + what;
}

using Value = ChartPoint (*)(const PointSummary&);

ChartPoint measured_step(const PointSummary& p) {
  if (!p.step) return {};
  return {0, p.step->value, p.step->low, p.step->high};
}
ChartPoint predicted_step(const PointSummary& p) {
  if (!p.predicted) return {};
  return {0, p.predicted->step_seconds, p.predicted->low, p.predicted->high};
}
ChartPoint measured_speed(const PointSummary& p) {
  if (!p.tokens_per_second) return {};
  return {0, p.tokens_per_second->value, p.tokens_per_second->low, p.tokens_per_second->high};
}
ChartPoint predicted_speed(const PointSummary& p) {
  return {0, p.predicted ? p.predicted->tokens_per_second : 0, 0, 0};
}
ChartPoint measured_efficiency(const PointSummary& p) {
  return {0, 100 * p.efficiency, 0, 0};
}
ChartPoint predicted_efficiency(const PointSummary& p) {
  return {0, 100 * p.predicted_efficiency, 0, 0};
}

void add_curve(CurveChart& chart, const RankSeries& series, int color, Look look, Value value) {
  const bool measured = look == Look::measured;
  Curve2d curve{
      titled(series.front()->series, measured ? "measured" : "predicted"), look, color, {}};
  for (const PointSummary* p : series) {
    ChartPoint point = value(*p);
    point.x = p->ranks;
    if (point.y > 0) curve.points.push_back(point);
  }
  if (!curve.points.empty()) chart.curves.push_back(std::move(curve));
}

// What the first point would become if ranks multiplied the speed.
void add_ideal(CurveChart& chart, const RankSeries& series, Value measured, Value predicted,
               double power) {
  const PointSummary &first = *series.front(), &last = *series.back();
  const double y = measured(first).y > 0 ? measured(first).y : predicted(first).y;
  if (y <= 0) return;
  Curve2d ideal{"ideal", Look::ideal, 0, {}};
  const bool named = std::any_of(chart.curves.begin(), chart.curves.end(),
                                 [](const Curve2d& c) { return c.look == Look::ideal; });
  if (named) ideal.title.clear();
  for (double ranks = first.ranks; ranks < last.ranks; ranks *= 1.25)
    ideal.points.push_back({ranks, y * std::pow(ranks / first.ranks, power)});
  ideal.points.push_back({static_cast<double>(last.ranks),
                          y * std::pow(static_cast<double>(last.ranks) / first.ranks, power)});
  chart.curves.push_back(std::move(ideal));
}

using UnitOf = ShownUnit (*)(double largest);

ShownUnit percent(double) {
  return {1, "efficiency, %"};
}

void set_unit(CurveChart& chart, UnitOf unit_of) {
  double largest = 0;
  for (const Curve2d& curve : chart.curves) {
    for (const ChartPoint& p : curve.points)
      largest = std::max(largest, p.y);
  }
  const ShownUnit unit = unit_of(largest);
  chart.y_label = unit.name;
  for (Curve2d& curve : chart.curves) {
    for (ChartPoint& p : curve.points)
      p = {p.x, unit.factor * p.y, unit.factor * p.low, unit.factor * p.high};
  }
}

CurveChart against_ranks(const std::vector<RankSeries>& all, const std::string& title, UnitOf unit,
                         Value measured, Value predicted, double power) {
  CurveChart chart{.title = title, .x_label = "ranks", .ranks_axis = true};
  for (std::size_t i = 0; i < all.size(); ++i) {
    add_ideal(chart, all[i], measured, predicted, power);
    const int color = static_cast<int>(i);
    add_curve(chart, all[i], color, Look::measured, measured);
    add_curve(chart, all[i], all.size() == 1 ? 1 : color, Look::predicted, predicted);
  }
  set_unit(chart, unit);
  return chart;
}

ChartPoint scaled(const ChartPoint& p, double factor) {
  return {p.x, factor * p.y, factor * p.low, factor * p.high};
}

std::vector<double> scaled(const StepParts& parts, double factor) {
  std::vector<double> all;
  for (const double s : parts.seconds)
    all.push_back(factor * s);
  return all;
}

double largest_step(const std::vector<PointSummary>& points) {
  double largest = 0;
  for (const PointSummary& p : points) {
    if (p.parts) largest = std::max(largest, p.parts->total());
    if (p.predicted) largest = std::max(largest, p.predicted->parts.total());
  }
  return largest;
}

// Where both are shown, each stack says which it is.
std::string stack_label(const PointSummary& p, const char* what, std::size_t num_points) {
  constexpr std::size_t kRoomForWords = 6;
  if (!p.parts || !p.predicted) return "";
  return num_points > kRoomForWords ? std::string(1, *what) : what;
}

}  // namespace

CurveChart step_chart(const std::vector<RankSeries>& all, const std::string& study) {
  return against_ranks(all, "Time of a step", time_unit, measured_step, predicted_step,
                       study == "strong" ? -1 : 0);
}

CurveChart speed_chart(const std::vector<RankSeries>& all) {
  return against_ranks(all, "Throughput", speed_unit, measured_speed, predicted_speed, 1);
}

CurveChart efficiency_chart(const std::vector<RankSeries>& all) {
  return against_ranks(all, "Efficiency", percent, measured_efficiency, predicted_efficiency, 0);
}

BarChart comparison_chart(const std::vector<PointSummary>& points) {
  double largest = 0;
  bool ran = false, predicted = false;
  for (const PointSummary& p : points) {
    largest = std::max({largest, measured_speed(p).y, predicted_speed(p).y});
    ran = ran || p.tokens_per_second;
    predicted = predicted || p.predicted;
  }
  const ShownUnit unit = speed_unit(largest);
  BarChart chart{"Throughput", unit.name, {}, {}};
  chart.first_color = ran ? 0 : 1;
  if (ran) chart.titles.emplace_back("measured");
  if (predicted) chart.titles.emplace_back("predicted");
  for (const PointSummary& p : points) {
    BarGroup& group = chart.groups.emplace_back(BarGroup{p.name, {}});
    if (ran) group.bars.push_back(scaled(measured_speed(p), unit.factor));
    if (predicted) group.bars.push_back(scaled(predicted_speed(p), unit.factor));
  }
  return chart;
}

BarChart target_chart(const std::vector<PointSummary>& points) {
  BarChart chart{"Time to target", "seconds", {"measured"}, {}};
  for (const PointSummary& p : points) {
    if (!p.target_seconds) continue;
    chart.groups.push_back(
        {p.name, {{0, p.target_seconds->value, p.target_seconds->low, p.target_seconds->high}}});
  }
  return chart;
}

StackChart breakdown_chart(const std::vector<PointSummary>& points) {
  const ShownUnit unit = time_unit(largest_step(points));
  StackChart chart{"Where the time of a step goes", unit.name, {}, {}, {}};
  for (std::size_t i = 0; i < kNumParts; ++i)
    chart.parts.emplace_back(title_of(static_cast<StepPart>(i)));
  for (const PointSummary& p : points) {
    if (!p.parts && !p.predicted) continue;
    const std::size_t group = chart.groups.size(), n = points.size();
    chart.groups.push_back(p.name);
    if (p.parts)
      chart.stacks.push_back({stack_label(p, "measured", n), group, scaled(*p.parts, unit.factor)});
    if (p.predicted) {
      chart.stacks.push_back(
          {stack_label(p, "predicted", n), group, scaled(p.predicted->parts, unit.factor)});
    }
  }
  return chart;
}

}  // namespace lockstep
