// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/step_time.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "perfmodels/exposed.hpp"
#include "perfmodels/pipeline_time.hpp"
#include "perfmodels/skew.hpp"

namespace lockstep {

namespace {

using Value = double (*)(const Figure&);
double middle(const Figure& f) {
  return f.value;
}
double low(const Figure& f) {
  return f.high > 0 ? f.low : f.value;
}
double high(const Figure& f) {
  return f.high > 0 ? f.high : f.value;
}

class Step {
 public:
  Step(const StepRecord& record, const Machine& machine)
      : record_(record), machine_(machine), records_(record.recording.records()), times_(machine) {
    for (const Record& r : records_)
      priced_.push_back(&times_.of(r.operation));
    updates_ = in_phase("update");
  }

  StepPrediction predict() {
    StepPrediction p;
    const std::vector<double> alone = seconds_at(middle);
    const std::vector<Span> spans = replayed(alone, middle);
    p.seconds = end_of(spans);
    set_interval(p);
    set_guesses(p);
    set_rates(p);
    p.breakdown = breakdown_of(
        replay(records_, alone, slowdowns_of(machine_), {}, queues_of(machine_)), alone);
    p.breakdown.waiting = waiting_in(alone);
    p.memory = record_.memory;
    p.timeline = timeline_of(spans);
    return p;
  }

 private:
  bool computes(std::size_t i) const {
    return records_[i].stream == StreamKind::compute &&
           records_[i].operation.kind != OperationKind::phase;
  }
  double launch_of(const Operation& operation, Value of) const {
    return of(times_.kernels().profile(operation).launch);
  }

  std::vector<double> seconds_at(Value of) const {
    std::vector<double> seconds;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const double launch = computes(i) ? launch_of(records_[i].operation, of) : 0;
      seconds.push_back(of(priced_[i]->seconds) + launch);
    }
    return seconds;
  }

  std::vector<Span> replayed(const std::vector<double>& seconds, Value of) const {
    const std::vector<double> late = lateness_of(records_, seconds, machine_, of);
    return replay(records_, seconds, slowdowns_of(machine_), late, queues_of(machine_));
  }
  double end_at(Value of) const { return end_of(replayed(seconds_at(of), of)); }

  Figure waiting_in(const std::vector<double>& seconds) const {
    const Slowdowns slowdowns = slowdowns_of(machine_);
    const Queues queues = queues_of(machine_);
    const double together = end_of(replay(records_, seconds, slowdowns, {}, queues));
    const auto waited = [&](Value of) {
      const std::vector<double> late = lateness_of(records_, seconds, machine_, of);
      return end_of(replay(records_, seconds, slowdowns, late, queues)) - together;
    };
    return {waited(middle), waited(low), waited(high)};
  }

  double drift_of(std::size_t i) const {
    const DriftProfile& drift = machine_.drift;
    if (records_[i].stream == StreamKind::communication) return drift.collectives;
    return updates_[i] ? drift.memory : drift.compute;
  }
  // The end of a step on a machine that has drifted, all classes together, to the slow end (+1) or
  // the fast one (-1). Replayed: what is hidden stays so as long as there is something to hide it.
  double end_drifted(int direction) const {
    std::vector<double> seconds = seconds_at(middle);
    for (std::size_t i = 0; i < seconds.size(); ++i)
      seconds[i] *= std::pow(1 + drift_of(i), direction);
    return end_of(replayed(seconds, middle));
  }

  void set_interval(StepPrediction& p) {
    const double least = end_at(low), most = end_at(high);
    const double faster = p.seconds - end_drifted(-1), slower = end_drifted(1) - p.seconds;
    const double error = interpolation_error(record_.recording, times_);
    if (most <= least && slower <= 0) return;
    p.low = std::max(p.seconds - std::hypot(p.seconds - least, error, faster), 0.0);
    p.high = p.seconds + std::hypot(most - p.seconds, error, slower);
  }

  void set_guesses(StepPrediction& p) {
    GuessList guesses;
    guesses.add(record_.recording, times_);
    p.in_range = machine_.measured() && guesses.mostly_in_range();
    p.guessed = std::move(guesses).sorted();
  }

  void set_rates(StepPrediction& p) const {
    if (p.seconds <= 0) return;
    p.tokens_per_second = static_cast<double>(record_.job_tokens) / p.seconds;
    const std::vector<bool> recomputed = in_phase("recompute");
    const Operation* product = nullptr;
    double flops = 0, again = 0;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const Operation& o = records_[i].operation;
      if (o.kind != OperationKind::gemm && o.kind != OperationKind::attention) continue;
      if (o.kind == OperationKind::gemm && !product) product = &o;
      (recomputed[i] ? again : flops) += o.flops;
      // Backward computes the scores again: a fifth product beside the four that are counted.
      if (o.name == std::string("attention_backward")) again += o.flops / 4;
    }
    if (!product) return;
    const double peak = times_.kernels().profile(*product).peak_flops.value;
    if (peak <= 0) return;
    p.mfu = flops / p.seconds / peak;
    p.hfu = (flops + again) / p.seconds / peak;
  }

  // Which records belong to the phase of this name.
  std::vector<bool> in_phase(const std::string& name) const {
    std::vector<bool> in(records_.size());
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const Operation& o = records_[i].operation;
      if (o.kind != OperationKind::phase || name != o.name) continue;
      const auto count = static_cast<std::size_t>(o.shape[0]);
      for (std::size_t k = i - std::min(count, i); k < i; ++k)
        in[k] = true;
    }
    return in;
  }

  static double& part_of(Breakdown& b, const Operation& operation, bool updates) {
    if (updates) return b.optimizer;
    if (operation.name == std::string("upload")) return b.data;
    if (is_of_attention(operation)) return b.attention;
    if (operation.kind == OperationKind::gemm) return b.gemm;
    return b.streaming;
  }

  Breakdown breakdown_of(const std::vector<Span>& spans, const std::vector<double>& alone) const {
    Breakdown b;
    const std::vector<bool> again = in_phase("recompute");
    double computed = 0;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (!computes(i)) continue;
      const double took = spans[i].end - spans[i].begin;
      const double launch = std::min(launch_of(records_[i].operation, middle), took);
      part_of(b, records_[i].operation, updates_[i]) += took - launch;
      b.launch += launch;
      b.overlap_loss += took - alone[i];
      if (again[i]) b.recompute += took;
      computed += took;
    }
    b.exposed = end_of(spans) - computed;
    add_axes(b, spans);
    return b;
  }

  void add_axes(Breakdown& b, const std::vector<Span>& spans) const {
    std::vector<Span> busy;
    std::vector<AxisSpan> sent;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (computes(i)) busy.push_back(spans[i]);
      if (records_[i].stream == StreamKind::communication)
        sent.push_back({spans[i], records_[i].operation.group});
    }
    b.hidden += add_communication(b.axes, std::move(sent), busy).hidden;
  }

  std::unique_ptr<Recording> timeline_of(const std::vector<Span>& spans) const {
    auto timeline = std::make_unique<Recording>();
    for (std::size_t i = 0; i < records_.size(); ++i)
      timeline->add(records_[i].operation, records_[i].stream, spans[i].begin, spans[i].end,
                    communicates_apart(machine_) ? records_[i].lane : Lane::world);
    return timeline;
  }

  const StepRecord& record_;
  const Machine& machine_;
  const std::vector<Record>& records_;
  OperationTimes times_;
  std::vector<const OperationTime*> priced_;
  std::vector<bool> updates_;  // which records are the optimizer's
};

}  // namespace

StepPrediction predict_step(const StepRecord& record, const Machine& machine) {
  return record.schedule.shape.stages > 1 ? predict_pipeline(record, machine)
                                          : Step(record, machine).predict();
}

}  // namespace lockstep
