// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/scaling.hpp"

#include <algorithm>

#include "perfmodels/step_time.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"

namespace lockstep {

namespace {

// The job's micro-batch, or the largest below it that cuts a rank's share.
std::int64_t micro_of(const JobConfig& job, std::int64_t share) {
  std::int64_t micro = job.batch.micro > 0 ? std::min(job.batch.micro, share) : share;
  while (share % micro != 0)
    --micro;
  return micro;
}

ScaledStep step_on(JobConfig job, const Machine& machine, int ranks, std::int64_t sequences) {
  job.parallel.data = ranks;
  job.batch.global = sequences;
  job.batch.micro = micro_of(job, sequences / ranks);
  const auto record = record_step(job, ranks, machine);
  const StepPrediction p = predict_step(*record, machine);
  const auto memory = static_cast<double>(p.memory.peak);
  return {.ranks = ranks,
          .sequences = sequences,
          .seconds = p.seconds,
          .low = p.low,
          .high = p.high,
          .tokens_per_second = p.tokens_per_second,
          .exposed = p.breakdown.exposed,
          .waiting = p.breakdown.waiting.value,
          .memory_bytes = memory,
          .fits = machine.memory_bytes <= 0 || memory <= machine.memory_bytes,
          .in_range = p.in_range};
}

void add_laws(ScalingCurve& curve) {
  std::vector<ScalingPoint> points;
  for (const ScaledStep& s : curve.steps)
    points.push_back({static_cast<double>(s.ranks), s.tokens_per_second});
  const Law simple = curve.kind == Scaling::strong ? Law::amdahl : Law::gustafson;
  if (points.size() >= 2) curve.laws.push_back(fit(simple, points));
  if (points.size() >= 3) curve.laws.push_back(fit(Law::usl, points));
}

std::string all_reasons(const ScalingCurve& curve) {
  return curve.skipped.empty() ? "no rank counts were given" : curve.skipped.front().why;
}

}  // namespace

const char* name_of(Scaling kind) {
  return kind == Scaling::strong ? "strong" : "weak";
}

std::int64_t sequences_per_rank(const JobConfig& job) {
  return std::max<std::int64_t>(job.batch.global / std::max(job.parallel.data, 1), 1);
}

ScalingCurve scale(const JobConfig& job, const Machine& machine, Scaling kind,
                   const std::vector<int>& ranks) {
  ScalingCurve curve{.kind = kind};
  for (const int p : ranks) {
    const bool strong = kind == Scaling::strong;
    if (strong && job.batch.global % p != 0) {
      curve.skipped.push_back({p, format("%d ranks: batch.global = %lld is not a multiple of %d", p,
                                         static_cast<long long>(job.batch.global), p)});
      continue;
    }
    const std::int64_t sequences = strong ? job.batch.global : sequences_per_rank(job) * p;
    curve.steps.push_back(step_on(job, machine, p, sequences));
  }
  if (curve.steps.empty()) {
    throw ConfigError(std::string(name_of(kind)) + " scaling: " + all_reasons(curve));
  }
  const ScaledStep& first = curve.steps.front();
  for (ScaledStep& s : curve.steps) {
    s.efficiency = s.tokens_per_second / s.ranks / (first.tokens_per_second / first.ranks);
  }
  add_laws(curve);
  return curve;
}

Plot plot_of(const std::vector<ScalingCurve>& curves, const std::string& title) {
  Plot plot{.title = title, .x_label = "ranks", .y_label = "tokens per second"};
  Series ideal{.title = "as many times as fast"};
  for (const ScalingCurve& curve : curves) {
    const std::string name = name_of(curve.kind);
    Series series{.title = name, .style = Series::Style::line_and_points};
    for (const ScaledStep& s : curve.steps)
      series.points.push_back({static_cast<double>(s.ranks), s.tokens_per_second});
    const ScaledStep &first = curve.steps.front(), &last = curve.steps.back();
    if (ideal.points.empty()) {
      for (const int p : {first.ranks, last.ranks})
        ideal.points.push_back({static_cast<double>(p), first.tokens_per_second / first.ranks * p});
    }
    plot.series.push_back(std::move(series));
    for (const LawFit& law : curve.laws) {
      if (law.law != Law::usl) continue;
      Series fitted{.title = name + ", fitted law (USL)"};
      for (double p = first.ranks; p <= last.ranks; p *= 1.1)
        fitted.points.push_back({p, law.at(p)});
      plot.series.push_back(std::move(fitted));
    }
  }
  plot.series.push_back(std::move(ideal));
  return plot;
}

}  // namespace lockstep
