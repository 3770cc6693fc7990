// SPDX-License-Identifier: Apache-2.0
// The diagrams of an experiment, from its summaries: measured and predicted in one figure. Pure.
#pragma once

#include <string>
#include <vector>

#include "launch/experiment/summary.hpp"
#include "launch/report/charts.hpp"

namespace lockstep {

using RankSeries = std::vector<const PointSummary*>;

// Against ranks, with what would be ideal: of strong scaling a step that shrinks with the ranks.
CurveChart step_chart(const std::vector<RankSeries>& all, const std::string& study);
CurveChart speed_chart(const std::vector<RankSeries>& all);
CurveChart efficiency_chart(const std::vector<RankSeries>& all);

// Bars of each point.
BarChart comparison_chart(const std::vector<PointSummary>& points);
BarChart target_chart(const std::vector<PointSummary>& points);
StackChart breakdown_chart(const std::vector<PointSummary>& points);

}  // namespace lockstep
