// SPDX-License-Identifier: Apache-2.0
// The rows of an experiment, put together by point: medians with intervals, efficiency, where the
// time goes, and which part of it keeps more ranks from being as many times as fast. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/experiment/results.hpp"
#include "perfmodels/laws.hpp"

namespace lockstep {

struct PointSummary {
  std::string name, series;
  int ranks = 1, done = 0, failed = 0;
  std::vector<std::string> last_lines{};  // of the last failure
  // Of several repetitions the median of their medians, with the 90 % interval of its order
  // statistics (of few, all of them); of one, the interval of its own steps.
  std::optional<Figure> step{}, tokens_per_second{};
  std::vector<double> each{};  // tokens/s of every repetition
  std::optional<Figure> target_seconds{};
  std::optional<StepParts> parts{};  // measured
  double memory_bytes = 0, mfu = 0, loss = 0, validation_loss = 0, validation_accuracy = 0;
  std::optional<PredictedPoint> predicted{};
  JobConfig job{};
  std::vector<std::pair<std::string, std::string>> values{};

  double tokens() const;  // per step
  // Against the smallest rank count of the series: speed per rank; 0 where nothing is known.
  double efficiency = 0, predicted_efficiency = 0;
};

// In the order in which points first appear in `order` (names), then in the rows. Of a repetition
// that ran twice the last row counts.
std::vector<PointSummary> summarize(const std::vector<ResultRow>& rows,
                                    const std::vector<std::string>& order = {});

// The points of one series by ascending ranks, for each series.
std::vector<std::vector<const PointSummary*>> series_of(const std::vector<PointSummary>& points);

// What grows from one point to another: seconds of rank time per token, part by part.
struct Bottleneck {
  StepPart part = StepPart::other;
  StepParts lost{};       // seconds of a step of `to`; what shrank is below 0
  double efficiency = 1;  // of `to` against `from`
  bool limits() const { return efficiency < kGoodEfficiency; }
  static constexpr double kGoodEfficiency = 0.97;
};

struct PointWork {
  double ranks = 1, tokens = 1;
  StepParts parts{};
};
Bottleneck bottleneck_of(const PointWork& from, const PointWork& to);
// "communication limits: ..." in one sentence, with milliseconds.
std::string in_words(const Bottleneck& bottleneck, const PointWork& from, const PointWork& to);

// How many ranks are worth it: the most of a series by ascending ranks whose efficiency, measured
// where any was, is at least so high, and what they cost. Empty where there are no two counts.
std::string worth_in_words(const std::vector<const PointSummary*>& series, double least_efficiency);

PointWork measured_work(const PointSummary& point);
PointWork predicted_work(const PointSummary& point);

// The laws of a series, fitted to every repetition; none where there are too few rank counts.
std::vector<LawFit> laws_of(const std::vector<const PointSummary*>& series,
                            const std::string& study);

}  // namespace lockstep
