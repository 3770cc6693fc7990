// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/price_errors.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "collectives/algorithms/table.hpp"
#include "perfmodels/calibrate/piecewise.hpp"
#include "perfmodels/collective_price.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr double kMedianBar = 0.05, kP95Bar = 0.15, kRegretBar = 0.025, kLibraryBar = 0.05;
constexpr double kMeasurable = 0.075;  // half of the bar of the p95
constexpr std::size_t kShown = 12;

std::vector<double> sizes_of(const std::vector<double>& values) {
  std::vector<double> sizes;
  for (const double v : values)
    sizes.push_back(std::abs(v));
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

// The measured size next to it, in proportion.
double nearest(const Curve& curve, double bytes) {
  const auto distance = [&](const Point& p) { return std::abs(std::log(p.x / bytes)); };
  const Point& next =
      *std::min_element(curve.points().begin(), curve.points().end(),
                        [&](const Point& a, const Point& b) { return distance(a) < distance(b); });
  return next.y.value * bytes / next.x;
}

// At the median rate of all sizes: what a constant MFU is for kernels.
double at_constant_rate(const Curve& curve, double bytes) {
  std::vector<double> seconds;
  for (const Point& p : curve.points())
    seconds.push_back(p.y.value / p.x);
  return median_of(seconds) * bytes;
}

bool judged(const char* text, double value, double bar) {
  const bool holds = value <= bar;
  std::printf("  %-48s %6.2f %%, bar %4.1f %%  %s\n", text, 100 * value, 100 * bar,
              holds ? "holds" : "MISSED");
  return holds;
}

}  // namespace

double Errors::mean() const {
  double sum = 0;
  for (const double v : values)
    sum += std::abs(v);
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}
double Errors::median() const {
  return values.empty() ? 0 : median_of(sizes_of(values));
}
double Errors::p95() const {
  if (values.empty()) return 0;
  const auto n = static_cast<double>(values.size());
  return sizes_of(values)[static_cast<std::size_t>(std::ceil(0.95 * n)) - 1];
}
double Errors::greatest() const {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

void Errors::print(const std::string& name) const {
  if (values.empty()) return;
  std::printf("%-40s %5zu %8.2f %8.2f %8.2f %8.2f %+9.2f\n", name.c_str(), values.size(),
              100 * mean(), 100 * median(), 100 * p95(), 100 * sizes_of(values).back(),
              100 * median_of(values));
}

// Null where no calibrated size was visited in these rounds.
const CollectiveCurve* PriceErrors::curve_of(const CollectivePoint& point, std::size_t c) const {
  for (const CollectiveCurve& curve : machine_.collectives) {
    if (curve.operation == name_of(point.what) && curve.label == point.labels[c] &&
        curve.memory == name_of(point.memory))
      return &curve;
  }
  return nullptr;
}

void PriceErrors::add(const VisitedPoint& visited) {
  const CollectivePoint& point = visited.point;
  double best = HUGE_VAL, cheapest = HUGE_VAL, chosen = 0, library = 0;
  std::string fastest, choice;
  for (std::size_t c = 0; c < point.labels.size(); ++c) {
    const double measured = median_of(visited, c, kept_);
    if (measured == 0 || !curve_of(point, c)) {
      ++unjudged_;
      continue;
    }
    GroupShape group = group_;
    group.memory = point.memory;
    const Price price =
        price_of(machine_, point.what, static_cast<double>(point.bytes), group, point.labels[c]);
    add_price(visited, c, measured, price.seconds.value);
    add_baselines(point, c, measured);
    if (measured < best) fastest = point.labels[c];
    best = std::min(best, measured);
    if (point.labels[c] == "mpi") library = measured;
    if (price.seconds.value < cheapest) {
      cheapest = price.seconds.value;
      choice = point.labels[c];
      chosen = measured;
    }
  }
  if (chosen == 0) return;
  regret_.values.push_back(chosen / best - 1);
  if (chosen > (1 + kRegretBar) * best) {
    char text[200];
    std::snprintf(text, sizeof text, "%+6.1f %%  %s %s %zu bytes: %s instead of %s",
                  100 * (chosen / best - 1), name_of(point.what), name_of(point.memory),
                  point.bytes, choice.c_str(), fastest.c_str());
    regretted_.push_back({chosen / best - 1, text});
  }
  if (library > 0) against_library_.values.push_back(chosen / library - 1);
}

void PriceErrors::add_price(const VisitedPoint& visited, std::size_t c, double measured,
                            double predicted) {
  const CollectivePoint& point = visited.point;
  const std::string name = name_of(point.what);
  const double error = predicted / measured - 1;
  const std::vector<double> seconds = seconds_of(visited, c, kept_);
  std::vector<double> halves[2];
  for (std::size_t i = 0; i < seconds.size(); ++i)
    halves[i % 2].push_back(seconds[i]);
  const double noise = (median_of(halves[0]) / median_of(halves[1]) - 1) / 2;
  const double spread = median_figure(seconds).spread();
  all_.values.push_back(error);
  by_operation_[name].values.push_back(error);
  noise_.values.push_back(noise);
  noise_of_[name].values.push_back(noise);
  if (spread <= kMeasurable) measurable_.values.push_back(error);
  if (spread <= kMeasurable) measurable_of_[name].values.push_back(error);
  char text[200];
  std::snprintf(text, sizeof text,
                "%+6.1f %%  %s %s %s %zu bytes: %.2f us of %zu visits, interval +- %.1f %%",
                100 * error, name.c_str(), point.labels[c].c_str(), name_of(point.memory),
                point.bytes, 1e6 * measured, seconds.size(), 100 * spread);
  worst_.push_back({std::abs(error), text});
}

void PriceErrors::add_baselines(const CollectivePoint& point, std::size_t c, double measured) {
  const auto bytes = static_cast<double>(point.bytes);
  const Curve& curve = curve_of(point, c)->seconds;
  const auto miss = [&](const char* name, double said) {
    baselines_[name].values.push_back(said / measured - 1);
  };
  miss("baseline: constant rate", at_constant_rate(curve, bytes));
  miss("baseline: nearest measured size", nearest(curve, bytes));
  miss("baseline: one straight line", fit_segments(curve.points(), 1).at(bytes));
  if (machine_.links.empty()) return;
  GroupShape group = group_;
  group.memory = point.memory;
  for (const Algorithm* a : algorithms()) {
    if (a->what == point.what && a->label == point.labels[c])
      miss("baseline: closed formula", a->seconds(group, bytes, links_of(machine_)));
  }
}

void PriceErrors::print_worst(const char* name, std::vector<Worst> all) {
  if (all.empty()) return;
  std::sort(all.begin(), all.end(),
            [](const Worst& a, const Worst& b) { return a.error > b.error; });
  std::printf("\nworst %s\n", name);
  for (std::size_t i = 0; i < std::min(all.size(), kShown); ++i)
    std::printf("  %s\n", all[i].text.c_str());
}

bool PriceErrors::print() const {
  std::printf("%-40s %5s %8s %8s %8s %8s %9s\n", "percent", "n", "mean", "median", "p95", "max",
              "signed");
  all_.print("error of the price");
  measurable_.print("  of what is measurable here");
  noise_.print("noise of the reference");
  for (const auto& [name, errors] : by_operation_) {
    errors.print("  " + name);
    if (measurable_of_.contains(name))
      measurable_of_.at(name).print("    of what is measurable here");
    noise_of_.at(name).print("    noise of the reference");
  }
  for (const auto& [name, errors] : baselines_)
    errors.print(name);
  regret_.print("choice by price / best measured");
  against_library_.print("choice by price / mpi");

  std::printf(
      "not measurable here: %zu of %zu, whose reference's 90 %% interval is wider than +- %.1f "
      "%%\n",
      all_.values.size() - measurable_.values.size(), all_.values.size(), 100 * kMeasurable);
  if (unjudged_ > 0) {
    std::printf("not judged, for fewer than %zu visits: %d prices\n", kLeastVisits, unjudged_);
  }
  print_worst("prices", worst_);
  print_worst("choices", regretted_);

  std::printf("\n");
  bool holds = judged("median error of a price", all_.median(), kMedianBar);
  holds = judged("its 95th percentile", all_.p95(), kP95Bar) && holds;
  judged("  of what is measurable here", measurable_.p95(), kP95Bar);
  holds = judged("choice: mean loss against the best", regret_.mean(), kRegretBar) && holds;
  return judged("choice: greatest loss against mpi", against_library_.greatest(), kLibraryBar) &&
         holds;
}

}  // namespace lockstep
