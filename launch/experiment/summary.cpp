// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/summary.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "perfmodels/calibrate/statistics.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

using Rows = std::vector<const ResultRow*>;

// The last row of each repetition.
Rows last_of_each(const Rows& rows) {
  std::map<int, const ResultRow*> last;
  for (const ResultRow* row : rows)
    last[row->repetition] = row;
  Rows kept;
  for (const auto& [repetition, row] : last)
    kept.push_back(row);
  return kept;
}

std::vector<double> each_of(const Rows& rows, double MeasuredRun::*member) {
  std::vector<double> values;
  for (const ResultRow* row : rows) {
    if (row->measured) values.push_back((*row->measured).*member);
  }
  return values;
}

StepParts median_parts(const Rows& rows) {
  StepParts parts;
  for (std::size_t i = 0; i < kNumParts; ++i) {
    std::vector<double> values;
    for (const ResultRow* row : rows) {
      if (row->measured && row->measured->parts) values.push_back(row->measured->parts->seconds[i]);
    }
    parts.seconds[i] = median_of(values);
  }
  return parts;
}

void add_measured(PointSummary& point, const Rows& rows) {
  point.each = each_of(rows, &MeasuredRun::tokens_per_second);
  if (point.each.empty()) return;
  point.step = median_figure(each_of(rows, &MeasuredRun::step_seconds));
  point.tokens_per_second = median_figure(point.each);
  if (point.each.size() == 1) {
    const MeasuredRun& only = *(*std::find_if(rows.begin(), rows.end(), [](const ResultRow* row) {
                                 return row->measured.has_value();
                               }))->measured;
    const double tokens = only.tokens_per_second * only.step_seconds;
    point.step = Figure{only.step_seconds, only.low, only.high};
    point.tokens_per_second = Figure{only.tokens_per_second, tokens / only.high, tokens / only.low};
  }
  point.memory_bytes = median_of(each_of(rows, &MeasuredRun::memory_bytes));
  point.mfu = median_of(each_of(rows, &MeasuredRun::mfu));
  point.loss = median_of(each_of(rows, &MeasuredRun::loss));
  point.validation_loss = median_of(each_of(rows, &MeasuredRun::validation_loss));
  point.validation_accuracy = median_of(each_of(rows, &MeasuredRun::validation_accuracy));
  const auto reached = each_of(rows, &MeasuredRun::target_seconds);
  if (*std::min_element(reached.begin(), reached.end()) > 0)
    point.target_seconds = median_figure(reached);
  const bool traced = std::any_of(rows.begin(), rows.end(), [](const ResultRow* row) {
    return row->measured && row->measured->parts;
  });
  if (traced) point.parts = median_parts(rows);
}

PointSummary summary_of(const Rows& all) {
  const Rows rows = last_of_each(all);
  const ResultRow& row = *rows.back();
  PointSummary point{.name = row.point, .series = row.series, .ranks = row.ranks};
  point.values = row.values;
  point.job = row.job;
  point.predicted = row.predicted;
  for (const ResultRow* one : rows) {
    ++(one->failed() ? point.failed : point.done);
    if (one->failed()) point.last_lines = one->last_lines;
  }
  add_measured(point, rows);
  return point;
}

void add_efficiency(std::vector<PointSummary>& points) {
  for (PointSummary& p : points) {
    const PointSummary *first = nullptr, *first_predicted = nullptr;
    for (const PointSummary& other : points) {
      if (other.series != p.series) continue;
      if (other.tokens_per_second && (!first || other.ranks < first->ranks)) first = &other;
      if (other.predicted && (!first_predicted || other.ranks < first_predicted->ranks))
        first_predicted = &other;
    }
    if (p.tokens_per_second && first) {
      p.efficiency =
          p.tokens_per_second->value / p.ranks / (first->tokens_per_second->value / first->ranks);
    }
    if (p.predicted && first_predicted) {
      p.predicted_efficiency =
          p.predicted->tokens_per_second / p.ranks /
          (first_predicted->predicted->tokens_per_second / first_predicted->ranks);
    }
  }
}

}  // namespace

double PointSummary::tokens() const {
  return static_cast<double>(job.batch.global * job.model.sequence);
}

std::vector<PointSummary> summarize(const std::vector<ResultRow>& rows,
                                    const std::vector<std::string>& order) {
  std::vector<std::string> names = order;
  std::map<std::string, Rows> by_name;
  for (const ResultRow& row : rows) {
    by_name[row.point].push_back(&row);
    if (std::find(names.begin(), names.end(), row.point) == names.end()) names.push_back(row.point);
  }
  std::vector<PointSummary> points;
  for (const std::string& name : names) {
    if (by_name.count(name)) points.push_back(summary_of(by_name[name]));
  }
  add_efficiency(points);
  return points;
}

std::vector<std::vector<const PointSummary*>> series_of(const std::vector<PointSummary>& points) {
  std::vector<std::string> names;
  std::vector<std::vector<const PointSummary*>> all;
  for (const PointSummary& p : points) {
    const auto found = std::find(names.begin(), names.end(), p.series);
    if (found == names.end()) {
      names.push_back(p.series);
      all.push_back({&p});
    } else {
      all[static_cast<std::size_t>(found - names.begin())].push_back(&p);
    }
  }
  for (auto& series : all) {
    std::stable_sort(
        series.begin(), series.end(),
        [](const PointSummary* a, const PointSummary* b) { return a->ranks < b->ranks; });
  }
  return all;
}

Bottleneck bottleneck_of(const PointWork& from, const PointWork& to) {
  Bottleneck b;
  double most = 0;
  for (std::size_t i = 0; i < kNumParts; ++i) {
    const double before = from.parts.seconds[i] * from.ranks / from.tokens;
    const double lost = to.parts.seconds[i] - before * to.tokens / to.ranks;
    b.lost.seconds[i] = lost;
    if (lost <= most) continue;
    most = lost;
    b.part = static_cast<StepPart>(i);
  }
  const double ideal = from.parts.total() * from.ranks / from.tokens * to.tokens / to.ranks;
  b.efficiency = to.parts.total() > 0 ? ideal / to.parts.total() : 1;
  return b;
}

std::string in_words(const Bottleneck& b, const PointWork& from, const PointWork& to) {
  const double step = to.parts.total(), lost = b.lost.total();
  const std::string head = format("from %.0f to %.0f ranks the efficiency is %.1f %%: ", from.ranks,
                                  to.ranks, 100 * b.efficiency);
  if (!b.limits()) return head + "nothing limits the scaling";
  std::string text = head + format("of a step of %.2f ms, %.2f ms are more than an ideal share; %s",
                                   1e3 * step, 1e3 * lost, title_of(b.part));
  text += format(" costs most, %.2f ms of them", 1e3 * b.lost[b.part]);
  std::string others;
  for (std::size_t i = 0; i < kNumParts; ++i) {
    const StepPart part = static_cast<StepPart>(i);
    if (part == b.part || std::abs(b.lost[part]) < 0.02 * step) continue;
    others +=
        format("%s%s %+.2f ms", others.empty() ? " (" : ", ", title_of(part), 1e3 * b.lost[part]);
  }
  return text + (others.empty() ? "" : others + ")");
}

std::string worth_in_words(const std::vector<const PointSummary*>& series,
                           double least_efficiency) {
  const bool ran = std::any_of(series.begin(), series.end(),
                               [](const PointSummary* p) { return p->efficiency > 0; });
  const auto of = [&](const PointSummary& p) {
    return ran ? p.efficiency : p.predicted_efficiency;
  };
  const PointSummary *first = nullptr, *most = nullptr, *last = nullptr;
  for (const PointSummary* p : series) {
    if (of(*p) <= 0) continue;
    if (!first) first = p;
    if (of(*p) >= least_efficiency) most = p;
    last = p;
  }
  if (!most || first->ranks == last->ranks) return "";
  const std::string head =
      format("%s: of these counts the most with an efficiency of at least %g %% is %d rank%s",
             ran ? "measured" : "predicted", 100 * least_efficiency, most->ranks,
             most->ranks == 1 ? "" : "s");
  if (most == first) return head + ": no larger one is worth it";
  return head + format(
                    ": %.1f %%, so that a job takes %.2f times the node hours that it takes on "
                    "%d, and ends %.1f times as soon",
                    100 * of(*most), 1 / of(*most), first->ranks,
                    of(*most) * most->ranks / first->ranks);
}

PointWork measured_work(const PointSummary& point) {
  return {static_cast<double>(point.ranks), point.tokens(), point.parts.value_or(StepParts{})};
}

PointWork predicted_work(const PointSummary& point) {
  return {static_cast<double>(point.ranks), point.tokens(),
          point.predicted ? point.predicted->parts : StepParts{}};
}

std::vector<LawFit> laws_of(const std::vector<const PointSummary*>& series,
                            const std::string& study) {
  std::vector<ScalingPoint> points;
  std::set<int> counts;
  for (const PointSummary* p : series) {
    for (const double speed : p->each)
      points.push_back({static_cast<double>(p->ranks), speed});
    if (p->each.empty() && p->predicted && p->failed == 0)
      points.push_back({static_cast<double>(p->ranks), p->predicted->tokens_per_second});
    counts.insert(p->ranks);
  }
  if (points.empty()) return {};
  std::vector<LawFit> laws;
  if (counts.size() >= 2)
    laws.push_back(fit(study == "weak" ? Law::gustafson : Law::amdahl, points));
  if (counts.size() >= 3) laws.push_back(fit(Law::usl, points));
  return laws;
}

}  // namespace lockstep
