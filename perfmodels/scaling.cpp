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

int ranks_of_copy(const JobConfig& job) {
  return job.parallel.tensor * job.parallel.pipeline;
}

ScaledStep step_on(JobConfig job, const Machine& machine, int ranks, std::int64_t sequences) {
  job.parallel.data = ranks / ranks_of_copy(job);
  job.batch.global = sequences;
  job.batch.micro = micro_of(job, sequences / job.parallel.data);
  const auto record = record_step(job, ranks, machine);
  const StepPrediction p = predict_step(*record, machine);
  const auto memory = static_cast<double>(p.memory.peak);
  return {.ranks = ranks,
          .nodes = (ranks + machine.devices_per_node - 1) / machine.devices_per_node,
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

// Empty, or why so many ranks cannot share the job.
std::string obstacle(const JobConfig& job, Scaling kind, int ranks) {
  const int copy = ranks_of_copy(job);
  if (ranks % copy != 0) {
    return format("parallel.tensor x pipeline = %d does not divide the ranks", copy);
  }
  if (kind == Scaling::weak || job.batch.global % (ranks / copy) == 0) return "";
  return format("batch.global = %lld is not a multiple of %d",
                static_cast<long long>(job.batch.global), ranks / copy);
}

void set_efficiency(ScalingCurve& curve) {
  const ScaledStep& first = curve.steps.front();
  for (ScaledStep& s : curve.steps)
    s.efficiency = s.tokens_per_second / s.ranks / (first.tokens_per_second / first.ranks);
}

std::string all_reasons(const ScalingCurve& curve) {
  return curve.skipped.empty() ? "no rank counts were given" : curve.skipped.front().why;
}

}  // namespace

const char* name_of(Scaling kind) {
  return kind == Scaling::strong ? "strong" : "weak";
}

ScalingCurve scale(const JobConfig& job, const Machine& machine, Scaling kind,
                   const std::vector<int>& ranks) {
  ScalingCurve curve{.kind = kind};
  std::int64_t per_copy = job.parallel.data > 0 ? job.batch.global / job.parallel.data : 0;
  for (const int p : ranks) {
    const std::string why = obstacle(job, kind, p);
    if (!why.empty()) {
      curve.skipped.push_back({p, format("%d ranks: ", p) + why});
      continue;
    }
    const int copies = p / ranks_of_copy(job);
    if (per_copy == 0) per_copy = std::max<std::int64_t>(job.batch.global / copies, 1);
    const bool strong = kind == Scaling::strong;
    curve.steps.push_back(step_on(job, machine, p, strong ? job.batch.global : per_copy * copies));
  }
  if (curve.steps.empty()) {
    throw ConfigError(std::string(name_of(kind)) + " scaling: " + all_reasons(curve));
  }
  set_efficiency(curve);
  add_laws(curve);
  return curve;
}

std::optional<Advice> advise(const ScalingCurve& strong, double least_efficiency) {
  ScalingCurve fitting{.kind = strong.kind};
  for (const ScaledStep& s : strong.steps) {
    if (s.fits) fitting.steps.push_back(s);
  }
  if (fitting.steps.empty()) return {};
  set_efficiency(fitting);
  Advice advice{fitting.steps.front(), fitting.steps.front()};
  for (const ScaledStep& s : fitting.steps) {
    if (s.efficiency < least_efficiency) {
      if (!advice.next) advice.next = s;
      continue;
    }
    advice.most = s;
    advice.next.reset();
  }
  return advice;
}

Plot plot_of(const std::vector<ScalingCurve>& curves, const std::string& title) {
  Plot plot{.title = title, .x_label = "ranks", .y_label = "tokens per second"};
  Series ideal{.title = "ideal", .style = Series::Style::dotted};
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
