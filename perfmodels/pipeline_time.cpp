// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/pipeline_time.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <set>

#include "perfmodels/exposed.hpp"
#include "perfmodels/guesses.hpp"
#include "perfmodels/stage_compose.hpp"

namespace lockstep {

namespace {

using Value = double (*)(const Figure&);
double low(const Figure& f) {
  return f.high > 0 ? f.low : f.value;
}
double high(const Figure& f) {
  return f.high > 0 ? f.high : f.value;
}

double end_of(const std::vector<StageSpans>& spans) {
  double end = 0;
  for (const StageSpans& s : spans) {
    for (const auto* stream : {&s.compute, &s.communication, &s.messages}) {
      if (!stream->empty()) end = std::max(end, stream->back().end);
    }
  }
  return end;
}

double busy(const std::vector<Span>& spans) {
  double seconds = 0;
  for (const Span& s : spans)
    seconds += s.seconds();
  return seconds;
}

class PipelineStep {
 public:
  PipelineStep(const StepRecord& record, const Machine& machine)
      : record_(record), machine_(machine), times_(machine) {
    for (int i = 0; i < record.num_roles(); ++i)
      roles_.emplace_back(record.role(i), record.schedule, times_);
    step_ = compose(record, roles_, machine);
  }

  StepPrediction predict() {
    const std::vector<StageSpans> spans = replayed();
    StepPrediction p;
    p.seconds = end_of(spans);
    set_interval(p);
    set_guesses(p);
    set_rates(p);
    set_shares(p, spans);
    set_memory(p);
    p.passes = passes_of(spans);
    p.timeline = timeline_of(spans);
    return p;
  }

 private:
  std::vector<StageSpans> replayed() const {
    std::vector<StageItems> items;
    for (const ComposedStage& s : step_.stages)
      items.push_back(s.items);
    return replay(items, step_.joints, slowdowns_of(machine_));
  }

  double end_at(Value of) const {
    std::vector<StageItems> items;
    for (const ComposedStage& s : step_.stages) {
      StageItems& stage = items.emplace_back(s.items);
      for (std::size_t i = 0; i < stage.compute.size(); ++i)
        stage.compute[i].seconds = of(s.compute[i]);
      for (std::size_t i = 0; i < stage.communication.size(); ++i)
        stage.communication[i].seconds = of(s.communication[i]);
      for (std::size_t i = 0; i < stage.messages.size(); ++i)
        stage.messages[i].seconds = of(s.messages[i]);
    }
    return end_of(replay(items, step_.joints, slowdowns_of(machine_)));
  }

  bool has_intervals() const {
    const auto wide = [](const Figure& f) { return f.high > f.low; };
    return std::any_of(step_.stages.begin(), step_.stages.end(), [&](const ComposedStage& s) {
      return std::any_of(s.compute.begin(), s.compute.end(), wide) ||
             std::any_of(s.communication.begin(), s.communication.end(), wide);
    });
  }

  void set_interval(StepPrediction& p) {
    if (!has_intervals()) return;
    const double least = end_at(low), most = end_at(high);
    const double error = interpolation_error(record_.recording, times_);
    p.low = std::max(p.seconds - std::hypot(p.seconds - least, error), 0.0);
    p.high = p.seconds + std::hypot(most - p.seconds, error);
  }

  void set_guesses(StepPrediction& p) {
    GuessList guesses;
    for (int role = 0; role < record_.num_roles(); ++role) {
      const auto stages = std::count(record_.role_of.begin(), record_.role_of.end(), role);
      guesses.add(record_.role(role).recording, times_, static_cast<int>(stages));
    }
    p.in_range = machine_.measured() && guesses.mostly_in_range();
    p.guessed = std::move(guesses).sorted();
  }

  void set_rates(StepPrediction& p) {
    p.tokens_per_second = static_cast<double>(record_.job_tokens) / p.seconds;
    double flops = 0, again = 0;
    for (const ComposedStage& s : step_.stages) {
      flops += s.kernels.flops;
      again += s.kernels.flops_again;
    }
    const auto& records = record_.recording.records();
    const auto product = std::find_if(records.begin(), records.end(), [](const Record& r) {
      return r.operation.kind == OperationKind::gemm;
    });
    if (product == records.end()) return;
    const double peak = times_.kernels().profile(product->operation).peak_flops.value;
    const double most = p.seconds * peak * static_cast<double>(step_.stages.size());
    if (most <= 0) return;
    p.mfu = flops / most;
    p.hfu = (flops + again) / most;
  }

  void set_shares(StepPrediction& p, const std::vector<StageSpans>& spans) const {
    const double share = 1 / static_cast<double>(spans.size());
    Breakdown& b = p.breakdown;
    for (std::size_t s = 0; s < spans.size(); ++s) {
      const ComposedStage& stage = step_.stages[s];
      StageShare own{.computing = busy(spans[s].compute)};
      const CommunicationSeconds sent =
          add_communication(b.axes, sent_by(spans, s), spans[s].compute, share);
      own.exposed = sent.exposed;
      b.hidden += share * sent.hidden;
      own.bubble = p.seconds - own.computing - own.exposed;
      add_kernels(b, stage.kernels, own.computing, share);
      b.exposed += share * own.exposed;
      b.bubble += share * own.bubble;
      p.stages.push_back(own);
    }
  }

  // What overlap costs is spread over the kernels in proportion to what they take alone.
  static void add_kernels(Breakdown& b, const KernelTotals& k, double computing, double share) {
    const double stretch = k.seconds() > 0 ? share * computing / k.seconds() : 0;
    b.gemm += stretch * k.gemm;
    b.attention += stretch * k.attention;
    b.streaming += stretch * k.streaming;
    b.optimizer += stretch * k.optimizer;
    b.data += stretch * k.data;
    b.launch += stretch * k.launch;
    b.recompute += stretch * k.recompute;
    b.overlap_loss += share * (computing - k.seconds());
  }

  // Messages apart as who waits for them sees them.
  std::vector<AxisSpan> sent_by(const std::vector<StageSpans>& spans, std::size_t s) const {
    static const OperationGroup kPipeline{.name = "pipeline"};
    const ComposedStage& stage = step_.stages[s];
    std::vector<AxisSpan> sent;
    for (std::size_t i = 0; i < spans[s].communication.size(); ++i)
      sent.push_back({spans[s].communication[i], stage.operations[i]->group});
    for (const ActionItems& a : stage.actions) {
      if (step_.apart && a.message >= 0 && !sends(a.action.kind))
        sent.push_back({span_of(a, spans, s), &kPipeline});
    }
    return sent;
  }

  void set_memory(StepPrediction& p) const {
    for (int role = 0; role < record_.num_roles(); ++role) {
      const RoleRecord& r = record_.role(role);
      if (role > 0 && r.memory.peak <= p.memory.peak) continue;
      p.memory = r.memory;
      p.memory_stage = r.stage;
    }
  }

  std::vector<GanttSpan> passes_of(const std::vector<StageSpans>& spans) const {
    std::vector<GanttSpan> passes;
    for (std::size_t s = 0; s < spans.size(); ++s) {
      for (const ActionItems& a : step_.stages[s].actions) {
        const Span span = span_of(a, spans, s);
        const Action& action = a.action;
        if (span.end <= span.begin && action.kind == ActionKind::backward_weight) continue;
        passes.push_back({static_cast<int>(s), action.kind, action.micro_batch, action.chunk,
                          span.begin, span.end});
      }
    }
    return passes;
  }

  static bool sends(ActionKind kind) {
    return kind == ActionKind::send_activation || kind == ActionKind::send_gradient;
  }

  Span span_of(const ActionItems& a, const std::vector<StageSpans>& spans, std::size_t s) const {
    if (a.message < 0) {
      if (a.first == a.end) return {};
      return {spans[s].compute[static_cast<std::size_t>(a.first)].begin,
              spans[s].compute[static_cast<std::size_t>(a.end) - 1].end};
    }
    const auto message = static_cast<std::size_t>(a.message);
    if (!step_.apart) return spans[s].communication[message];
    if (sends(a.action.kind)) return spans[s].messages[message];
    const auto from = static_cast<std::size_t>(step_.joints[message].stages.front());
    return spans[from].messages[static_cast<std::size_t>(step_.places[message])];
  }

  std::unique_ptr<Recording> timeline_of(const std::vector<StageSpans>& all) const {
    const StageSpans& spans = all.front();
    auto timeline = std::make_unique<Recording>();
    const ComposedStage& stage = step_.stages.front();
    for (const ActionItems& a : stage.actions) {
      if (a.message >= 0 || a.first == a.end) continue;
      const Span span = span_of(a, all, 0);
      const bool forward = a.action.kind == ActionKind::forward;
      const bool input = a.action.kind == ActionKind::backward_input;
      const Operation phase{.name = forward ? "forward"
                                    : input ? "backward"
                                            : "backward_weight",
                            .kind = OperationKind::phase,
                            .shape = {0, a.action.micro_batch, a.action.chunk}};
      timeline->add(phase, StreamKind::compute, span.begin, span.end);
    }
    for (std::size_t i = 0; i < spans.communication.size(); ++i) {
      timeline->add(*stage.operations[i], StreamKind::communication, spans.communication[i].begin,
                    spans.communication[i].end, stage.items.communication[i].lane);
    }
    return timeline;
  }

  const StepRecord& record_;
  const Machine& machine_;
  OperationTimes times_;
  std::vector<StageSegments> roles_;
  ComposedStep step_;
};

}  // namespace

StepPrediction predict_pipeline(const StepRecord& record, const Machine& machine) {
  return PipelineStep(record, machine).predict();
}

}  // namespace lockstep
